"""Defaults and validation of kinds that are not ours, as far as the operator can see them."""

from __future__ import annotations

from e2e.chaos.apiserver.objects import SECRETS
from e2e.chaos.apiserver.refusals import bad_request, cause, invalid
from modelrollout.adapters.kube.resources import (
    DEPLOYMENTS,
    EVENTS,
    HTTPROUTES,
    INGRESSES,
    SERVICES,
    SLICES,
    Body,
    Resource,
)

MAX_NOTE = 1024
MAX_RULES = 16
MAX_WEIGHT = 1_000_000


def completed(resource: Resource, name: str, body: Body) -> Body:
    """The object with its defaults. Refused with 400 when it makes no sense, with 422 when it is invalid."""
    try:
        return _completed(resource, name, body)
    except (AttributeError, KeyError, TypeError) as error:
        raise bad_request(f"{resource.kind} in this version cannot be handled as a {resource.kind}") from error


def _completed(resource: Resource, name: str, body: Body) -> Body:
    if resource is HTTPROUTES:
        return _route(name, body)
    if resource is EVENTS:
        _check_event(name, body)
    if resource is DEPLOYMENTS:
        return {"status": {}, **body, "spec": {"replicas": 1, **body.get("spec", {})}}
    if resource is SERVICES:
        return {"status": {"loadBalancer": {}}, **body, "spec": _service(body.get("spec", {}))}
    if resource is SLICES:
        ports = [{"name": "", "protocol": "TCP", **port} for port in body.get("ports") or ()]
        endpoints = [{"conditions": {}, **endpoint} for endpoint in body.get("endpoints") or ()]
        return {**body, "endpoints": endpoints, "ports": ports}
    if resource is INGRESSES:
        return _ingress(name, body)
    if resource is SECRETS:
        return {"type": "Opaque", **body}
    return body


def _service(spec: Body) -> Body:
    ports = [{"protocol": "TCP", "targetPort": port.get("port"), **port} for port in spec.get("ports") or ()]
    return {"type": "ClusterIP", **spec, "ports": ports}


def _ingress(name: str, body: Body) -> Body:
    causes = []
    for index, rule in enumerate(body["spec"].get("rules") or ()):
        where = f"spec.rules[{index}]"
        if rule.get("host", "") != rule.get("host", "").lower():
            causes.append(_wrong(f"{where}.host", f"Invalid value: {rule['host']!r}"))
        for place, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            if not path.get("pathType"):
                causes.append(cause("Required", f"{where}.http.paths[{place}].pathType", "pathType must be specified"))
    if causes:
        raise invalid(INGRESSES, name, causes)
    return {"status": {"loadBalancer": {}}, **body}


def _wrong(field: str, message: str = "Invalid value") -> Body:
    return cause("Invalid", field, message)


def _check_event(name: str, body: Body) -> None:
    needed = ("eventTime", "reason", "action", "reportingController")
    causes = [_wrong(field) for field in needed if not body.get(field)]
    if len(str(body.get("note", "")).encode()) > MAX_NOTE:
        causes.append(_wrong("note"))
    if (body.get("series") or {"count": 2})["count"] < 2:
        causes.append(_wrong("series.count"))
    if causes:
        raise invalid(EVENTS, name, causes)


def _route(name: str, body: Body) -> Body:
    if "spec" not in body:
        raise invalid(HTTPROUTES, name, [cause("Required", "spec", "Required value")])
    spec = {"rules": [{}], **body["spec"]}
    causes: list[Body] = []
    for index, host in enumerate(spec.get("hostnames") or ()):
        if host != host.lower():
            causes.append(_wrong(f"spec.hostnames[{index}]", f"Invalid value: {host!r}"))
    if len(spec.get("rules") or ()) > MAX_RULES:
        causes.append(cause("TooMany", "spec.rules", f"Too many: must have at most {MAX_RULES} items"))
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
                causes.append(_wrong(f"{path}.backendRefs[{index}].weight", f"Invalid value: {ref['weight']}"))
    return out


def _match(match: Body) -> Body:
    out: Body = {"path": {"type": "PathPrefix", "value": "/"}} | match
    if match.get("headers"):
        out["headers"] = [{"type": "Exact"} | header for header in match["headers"]]
    return out
