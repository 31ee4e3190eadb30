"""Defaults and validation of kinds that are not ours, as far as the operator depends on them."""

from __future__ import annotations

from e2e.chaos.apiserver.refusals import invalid
from modelrollout.adapters.kube.resources import EVENTS, HTTPROUTES, Body, Resource

MAX_NOTE = 1024
MAX_RULES = 16
MAX_WEIGHT = 1_000_000


def completed(resource: Resource, name: str, body: Body) -> Body:
    """The object with its defaults. Refused when it is invalid."""
    if resource is HTTPROUTES:
        return _route(name, body)
    if resource is EVENTS:
        _check_event(name, body)
    return body


def _cause(field: str, message: str = "Invalid value") -> Body:
    return {"reason": "FieldValueInvalid", "message": message, "field": field}


def _check_event(name: str, body: Body) -> None:
    causes = [
        _cause(field) for field in ("eventTime", "reason", "action", "reportingController") if not body.get(field)
    ]
    if len(str(body.get("note", "")).encode()) > MAX_NOTE:
        causes.append(_cause("note"))
    if (body.get("series") or {"count": 2})["count"] < 2:
        causes.append(_cause("series.count"))
    if causes:
        raise invalid(EVENTS, name, causes)


def _route(name: str, body: Body) -> Body:
    spec = dict(body["spec"])
    causes: list[Body] = []
    for index, host in enumerate(spec.get("hostnames") or ()):
        if host != host.lower():
            causes.append(_cause(f"spec.hostnames[{index}]", f"Invalid value: {host!r}"))
    if len(spec.get("rules") or ()) > MAX_RULES:
        causes.append(_cause("spec.rules", f"Too many: must have at most {MAX_RULES} items"))
    if spec.get("parentRefs"):
        gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
        spec["parentRefs"] = [gateway | parent for parent in spec["parentRefs"]]
    if spec.get("rules"):
        spec["rules"] = [_rule(rule, f"spec.rules[{index}]", causes) for index, rule in enumerate(spec["rules"])]
    if causes:
        raise invalid(HTTPROUTES, name, causes)
    return body | {"spec": spec}


def _rule(rule: Body, path: str, causes: list[Body]) -> Body:
    out = {**rule, "matches": [_match(found) for found in rule.get("matches") or [{}]]}
    if rule.get("backendRefs"):
        out["backendRefs"] = [{"group": "", "kind": "Service", "weight": 1} | ref for ref in rule["backendRefs"]]
        for index, ref in enumerate(out["backendRefs"]):
            if not 0 <= ref["weight"] <= MAX_WEIGHT:
                causes.append(_cause(f"{path}.backendRefs[{index}].weight", f"Invalid value: {ref['weight']}"))
    return out


def _match(match: Body) -> Body:
    out: Body = {"path": {"type": "PathPrefix", "value": "/"}} | match
    if match.get("headers"):
        out["headers"] = [{"type": "Exact"} | header for header in match["headers"]]
    return out
