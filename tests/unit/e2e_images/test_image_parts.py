"""What the operator's image consists of: nothing that it does not need, and every part in the SBOM."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from e2e import sbom
from e2e.cluster.images import python_base, python_wheels
from e2e.cluster.rootfs import python_version
from e2e.image import LOCK
from e2e.stage import ROOT
from e2e.trim import remove, unused

EVERYTHING = """
import importlib, pkgutil, sys
import modelrollout
for module in pkgutil.walk_packages(modelrollout.__path__, "modelrollout."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from modelrollout.stats import forecast
from scipy.special import betainc, betaincc, betaincinv, gammaln, ndtr, ndtri, rel_entr, xlogy
assert abs(betaincinv(2.0, 3.0, betainc(2.0, 3.0, 0.3)) - 0.3) < 1e-9 and betaincc(1.0, 1.0, 0.25) == 0.75
assert abs(ndtr(ndtri(0.9)) - 0.9) < 1e-12 and xlogy(0.0, 0.0) == 0.0 and gammaln(1.0) == 0.0
assert rel_entr(0.5, 0.5) == 0.0
assert not [name for name in sys.modules if "site-packages" in (getattr(sys.modules[name], "__file__", "") or "")]
"""


@pytest.mark.timeout(240)
def test_the_operator_has_all_it_imports_in_what_the_image_keeps() -> None:
    tree = python_wheels(LOCK, trimmed=True)
    assert not (tree / "scipy" / "optimize").exists()
    assert not (tree / "kubernetes" / "client" / "models" / "v1_pod.py").exists()
    done = subprocess.run(
        # Without site-packages: what is missing in the tree must be missed.
        [sys.executable, "-S", "-c", EVERYTHING],
        env={"PYTHONPATH": f"{ROOT / 'operator'}:{tree}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_package_that_looks_otherwise_ends_the_build(tmp_path: Path) -> None:
    for folder in ("scipy/special", "kubernetes/client/api", "kubernetes/client/models/tests"):
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"client/api has none of __init__\.py: .* look at e2e/trim\.py"):
        remove(unused(tmp_path))
    assert (tmp_path / "kubernetes/client/models/tests").exists(), "nothing is removed before all is known"


def test_tests_and_typed_apis_are_unused_and_what_clients_import_is_not(tmp_path: Path) -> None:
    kept = [
        "scipy/__init__.py",
        "scipy/special/_basic.py",
        *(f"kubernetes/{c}/api/__init__.py" for c in ("client", "aio/client")),
        *(f"kubernetes/{c}/models/v1_object_meta.py" for c in ("client", "aio/client")),
    ]
    gone = ["scipy/special/tests/test_a.py", "scipy/optimize/a.py", "kubernetes/client/api/core_v1_api.py"]
    for name in (*kept, *gone):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert len(unused(tmp_path)) == 3
    remove(unused(tmp_path))
    assert all((tmp_path / name).exists() for name in kept)
    assert not any((tmp_path / name).exists() for name in gone)


@pytest.mark.timeout(240)
def test_the_sbom_has_every_locked_package_and_what_debian_brings(tmp_path: Path) -> None:
    out = tmp_path / "made" / "image.spdx.json"
    assert sbom.main(["--out", str(out)]) == 0
    text = out.read_text()
    made = json.loads(text)
    found = {package["name"].lower().replace("_", "-"): package for package in made["packages"]}
    lines = [line.rstrip(" \\") for line in LOCK.read_text().splitlines() if line and line[0].isalnum()]
    here = {"python_version": python_version(), "python_full_version": f"{python_version()}.0"}
    parts = [part for part in map(Requirement, lines) if part.marker is None or part.marker.evaluate(here)]
    locked = {part.name: str(part.specifier).removeprefix("==") for part in parts}
    assert len(locked) > 20
    missing = {name for name, version in locked.items() if found.get(name, {}).get("versionInfo") != version}
    assert missing == set()
    assert found["libc6"]["externalRefs"][0]["referenceLocator"].startswith("pkg:deb/debian/libc6@")
    assert made["packages"][0]["licenseDeclared"] == "Apache-2.0"
    ids = [package["SPDXID"] for package in made["packages"]]
    assert len(set(ids)) == len(ids)
    related = {relation["relatedSpdxElement"] for relation in made["relationships"]}
    assert related == set(ids)
    again = sbom.document(base=python_base(), packages=python_wheels(LOCK, trimmed=True))
    assert json.dumps(again, indent=1, sort_keys=True) + "\n" == text


def test_a_tree_without_records_has_no_sbom(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no package records"):
        sbom.document(base=tmp_path, packages=tmp_path)
    with pytest.raises(FileNotFoundError, match="has no installed packages"):
        list(sbom.python(tmp_path))
