"""What is in the operator's image, as an SPDX 2.3 document: `python -m e2e.sbom --out FILE`.

Every Debian package and every Python package, with version, licence as its metadata tells it, and package URL; the
operator itself depends on all of them. Equal inputs make an equal document, byte for byte. Source: SPDX specification
2.3, clauses 6, 7 and 11.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from email.parser import Parser
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any
from urllib.parse import quote

from e2e.cluster.images import python_base, python_wheels
from e2e.cluster.rootfs import PACKAGE_RECORDS
from e2e.image import LOCK
from e2e.stage import ROOT
from modelrollout import __version__

NONE = "NOASSERTION"
NAMESPACE = "https://modelrollout.dev/spdx"
EPOCH = "1970-01-01T00:00:00Z"


def document(*, base: Path, packages: Path, version: str = __version__) -> dict[str, Any]:
    """The document for these trees: a Debian whose packages are recorded, and installed Python packages."""
    parts = [*debian(base), *python(packages)]
    own = _package("modelrollout", version, f"pkg:pypi/modelrollout@{version}", licence=_own_licence())
    listed = [own, *sorted(parts, key=lambda part: str(part["SPDXID"]))]
    digest = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"modelrollout-{version}",
        "documentNamespace": f"{NAMESPACE}/modelrollout-{version}-{digest[:16]}",
        "creationInfo": {"created": EPOCH, "creators": ["Tool: modelrollout-sbom"]},
        "packages": listed,
        "relationships": [
            _related("SPDXRef-DOCUMENT", "DESCRIBES", str(own["SPDXID"])),
            *(_related(str(own["SPDXID"]), "DEPENDS_ON", str(part["SPDXID"])) for part in listed[1:]),
        ],
    }


def debian(base: Path) -> Iterator[dict[str, Any]]:
    """Packages of a Debian tree, from the records beside them. Raises FileNotFoundError without any."""
    records = sorted((base / PACKAGE_RECORDS).glob("*"))
    if not records:
        raise FileNotFoundError(f"{base / PACKAGE_RECORDS} has no package records")
    for record in records:
        fields = Parser().parsestr(record.read_text())
        name, version = fields["Package"], fields["Version"]
        url = f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={fields['Architecture']}"
        yield _package(name, version, url)


def python(packages: Path) -> Iterator[dict[str, Any]]:
    """Installed Python packages, from their own metadata. Raises FileNotFoundError without any."""
    found = sorted(packages.glob("*.dist-info"))
    if not found:
        raise FileNotFoundError(f"{packages} has no installed packages")
    for folder in found:
        metadata = PathDistribution(folder).metadata
        name, version = metadata["Name"], metadata["Version"]
        licence = str(metadata.json.get("license_expression", NONE))
        normal = re.sub(r"[-_.]+", "-", name).lower()
        yield _package(name, version, f"pkg:pypi/{normal}@{version}", licence=licence)


def _package(name: str, version: str, url: str, *, licence: str = NONE) -> dict[str, Any]:
    kind = url.removeprefix("pkg:").split("/", 1)[0]
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", f"{kind}-{name}"),
        "name": name,
        "versionInfo": version,
        "downloadLocation": NONE,
        "filesAnalyzed": False,
        "licenseConcluded": NONE,
        "licenseDeclared": licence,
        "copyrightText": NONE,
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": url},
        ],
    }


def _related(one: str, how: str, other: str) -> Mapping[str, str]:
    return {"spdxElementId": one, "relationshipType": how, "relatedSpdxElement": other}


def _own_licence() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["license"])


def main(argv: Sequence[str] | None = None) -> int:
    """Write it."""
    parser = argparse.ArgumentParser(prog="python -m e2e.sbom", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="SPDX document, JSON")
    args = parser.parse_args(argv)
    made = document(base=python_base(), packages=python_wheels(LOCK, trimmed=True))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
    print(f"{args.out}: {len(made['packages'])} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
