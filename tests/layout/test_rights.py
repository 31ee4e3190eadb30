"""The rights of the manifest and those that the documentation lists are the same, and none is a wide one."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.layout.documents import DOCS, ROOT

PAGE = DOCS / "how-to" / "run-the-operator.md"
MANIFEST = ROOT / "examples" / "rbac.yaml"
HOME = ", Lease's namespace only"
ROW = re.compile(r"^\| (?P<groups>.*?) ?\| (?P<resources>.+?) \| (?P<verbs>[a-z, ]+) \|$", re.MULTILINE)

Rights = set[tuple[str, str, str]]
"""API group (core is empty), resource, verb."""


def documented() -> tuple[Rights, Rights]:
    """Rights in the whole cluster, and those in the Lease's namespace only."""
    table = PAGE.read_text().partition("## Rights")[2].partition("\n## ")[0]
    everywhere: Rights = set()
    home: Rights = set()
    groups: list[str] = []
    for row in ROW.finditer(table):
        if row["verbs"] == "verbs":
            continue
        where = home if row["groups"].endswith(HOME) else everywhere
        cell = row["groups"].removesuffix(HOME).replace("`", "")
        groups = ["" if name == "core" else name for name in cell.split("; ")] if cell else groups
        # What stands in brackets is said about them, not named.
        named = re.sub(r"\(.*?\)", "", row["resources"]).split("; ")
        for group, resources in zip(groups, named, strict=True):
            where |= {(group, r, verb) for r in re.findall(r"`(.+?)`", resources) for verb in row["verbs"].split(", ")}
    return everywhere, home


def objects() -> dict[str, dict[str, Any]]:
    found = list(yaml.safe_load_all(MANIFEST.read_text()))
    assert len({obj["kind"] for obj in found}) == len(found)
    return {obj["kind"]: obj for obj in found}


def granted(kind: str) -> Rights:
    return {
        (group, resource, verb)
        for rule in objects()[kind]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_table_and_the_manifest_agree() -> None:
    everywhere, home = documented()
    assert len(everywhere) > 20
    assert granted("ClusterRole") == everywhere
    assert granted("Role") == home


def test_nothing_wide_is_granted() -> None:
    rights = granted("ClusterRole") | granted("Role")
    assert not {right for right in rights if "*" in "".join(right)}
    assert not {right for right in granted("ClusterRole") if right[1] in ("secrets", "configmaps", "pods", "leases")}
    (secrets,) = (rule for rule in objects()["Role"]["rules"] if rule["resources"] == ["secrets"])
    assert secrets["resourceNames"]
    assert not {right for right in rights if right[2] in ("escalate", "bind", "impersonate")}


def test_the_bindings_give_the_roles_to_the_one_account() -> None:
    found = objects()
    account = found["ServiceAccount"]["metadata"]
    assert account["namespace"] == found["Namespace"]["metadata"]["name"]
    assert found["Role"]["metadata"]["namespace"] == account["namespace"]
    subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    for binding, role in (("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")):
        assert found[binding]["subjects"] == [subject]
        assert found[binding]["roleRef"]["kind"] == role
        assert found[binding]["roleRef"]["name"] == found[role]["metadata"]["name"]
