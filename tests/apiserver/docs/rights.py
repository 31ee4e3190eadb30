"""The rights that a page grants, as RBAC objects, and what the API server refused to whoever has them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.apiserver import ApiServer
from tests.layout.documents import DOCS, prose

PAGE = DOCS / "how-to" / "run-the-operator.md"
ACCOUNT = "modelrollout"
USER = f"system:serviceaccount:default:{ACCOUNT}"
ROW = re.compile(r"^\|(?P<groups>[^|]*)\|(?P<resources> `[^|]*)\|(?P<verbs>[a-z, ]+)\|$", re.MULTILINE)
LEASE_ONLY = ", Lease's namespace only"


def granted() -> dict[str, list[dict[str, list[str]]]]:
    """The rules of the page's table, those for all namespaces and those for the Lease's."""
    rules: dict[str, list[dict[str, list[str]]]] = {"ClusterRole": [], "Role": []}
    last: list[str] = []
    for row in ROW.finditer(prose(PAGE).partition("## Rights")[2]):
        cell = row["groups"].strip()
        kind = "Role" if cell.endswith(LEASE_ONLY) else "ClusterRole"
        # A row without a group goes on with the group above it.
        last = [word.strip(" `") for word in cell.removesuffix(LEASE_ONLY).split(";")] if cell else last
        resources = [[word.strip(" `") for word in part.split(",")] for part in row["resources"].split(";")]
        if len(last) != len(resources):
            resources = [[word for part in resources for word in part]]
        for group, names in zip(last, resources, strict=True):
            verbs = [verb.strip() for verb in row["verbs"].split(",")]
            rules[kind].append({"apiGroups": ["" if group == "core" else group], "resources": names, "verbs": verbs})
    return rules


def account() -> Iterator[dict[str, Any]]:
    """A service account with the rights of the page."""
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": "default"}}
    for kind, rules in granted().items():
        where = {} if kind == "ClusterRole" else {"namespace": "default"}
        named = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": ACCOUNT, **where}}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": ACCOUNT}
        who = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "default"}
        yield {**named, "kind": kind, "rules": rules}
        yield {**named, "kind": f"{kind}Binding", "roleRef": role, "subjects": [who]}


def credentials(server: ApiServer, path: Path) -> Path:
    """Make the account; `path` becomes a kubeconfig with its token."""
    items = {"apiVersion": "v1", "kind": "List", "items": list(account())}
    server.kubectl("apply", "-f", "-", input_text=json.dumps(items))
    config = yaml.safe_load(server.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": server.kubectl("create", "token", ACCOUNT, "-n", "default").stdout.strip()}
    path.write_text(yaml.safe_dump(config))
    return path


def answers(server: ApiServer) -> Iterator[tuple[str, int]]:
    """What the account asked for, such as `patch apps/deployments`, and the codes it got."""
    for event in server.audit():
        found: Any = event
        if found["user"]["username"] == USER:
            about = found.get("objectRef") or {}
            code = (found.get("responseStatus") or {}).get("code", 0)
            yield f"{found['verb']} {about.get('apiGroup', '')}/{about.get('resource', '')}", int(code)
