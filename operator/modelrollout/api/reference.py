"""The API reference page, rendered from the CRDs so that it can't tell anything else than they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelrollout.api.rules import VALIDATIONS

_INTRO = """# API reference

Generated from the models by `make crds`; do not edit. Group `modelrollout.dev`, version `v1alpha1`.

Durations are Go style (`90s`, `1h30m`), shares are percent strings (`"2%"`), objectives and fractional weights decimal
strings (`"99.9"`, `"0.25"`). "absent: x" is what the operator does without the field. Unknown fields are refused by
`kubectl` and by server-side apply; other clients get a warning, and the API server drops the field.
"""


def reference(definitions: Sequence[tuple[Mapping[str, Any], str]]) -> str:
    """Markdown of all kinds, in order."""
    return "\n".join([_INTRO, *("\n".join(_kind(crd, short)) for crd, short in definitions)])


def _kind(crd: Mapping[str, Any], short: str) -> Iterator[str]:
    spec = crd["spec"]
    version = spec["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    names = spec["names"]
    yield f"## {names['kind']}\n"
    yield f"{schema['description']}\n"
    yield f"{spec['scope']}, `kubectl get {names['plural']}` or `{short}`, category `{names['categories'][0]}`.\n"
    for part in ("spec", "status"):
        if part in schema["properties"]:
            yield f"### {names['kind']} {part}\n"
            yield "| field | type | meaning |\n|---|---|---|"
            yield from _rows(schema["properties"][part], part)
            yield ""


def _rows(node: Mapping[str, Any], path: str) -> Iterator[str]:
    required = node.get("required", ())
    for name, child in node.get("properties", {}).items():
        where = f"{path}.{name}"
        mark = " **required**" if name in required else ""
        yield f"| `{where}` | {_type(child)}{mark} | {_cell(_meaning(child))} |"
        yield from _rows(child, where)
        if "items" in child:
            yield from _rows(child["items"], f"{where}[]")


def _type(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return " ".join(f"`{value}`" for value in node["enum"])
    kind = node.get("type", "integer or string")
    if kind == "array":
        return f"list, {_bounds(node.get('minItems'), node.get('maxItems'))}, of {_type(node['items'])}"
    if kind == "object" and "additionalProperties" in node:
        return f"map of strings, {_bounds(None, node.get('maxProperties'))}"
    if kind == "integer":
        return f"integer {_bounds(node.get('minimum'), node.get('maximum'))}".rstrip()
    if kind == "string" and "maxLength" in node:
        return f"string, {_bounds(None, node['maxLength'])} characters"
    return str(kind)


def _bounds(low: int | None, high: int | None) -> str:
    if high is None or high >= 2**31:
        return "" if low is None else f"from {low}"
    return f"at most {high}" if low is None else f"{low} to {high}"


def _meaning(node: Mapping[str, Any]) -> str:
    rules = [rule["message"] for rule in (*node.get(VALIDATIONS, ()), *node.get("items", {}).get(VALIDATIONS, ()))]
    return " ".join([node["description"], *(f"Rule: {rule}." for rule in rules)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
