"""Objects drawn from a structural schema: what its types and bounds admit, whatever its rules say."""

import string
from typing import Any

from hypothesis import strategies as st

TEXT = string.ascii_letters + string.digits + "-._/:% é\n"


def drawn(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit the schema."""
    if schema.get("x-kubernetes-int-or-string"):
        # Mostly sensible weights: random text would never reach the rules of the list.
        return st.one_of(st.integers(-1, 101), st.decimals(0, 101, places=2).map(str), st.text(max_size=6))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object":
            return _object(schema)
        case "array":
            return _array(schema)
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "string":
            return _string(schema)
    raise AssertionError(schema["type"])


def _object(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "additionalProperties" in schema:
        keys = st.text(TEXT, max_size=8)
        return st.dictionaries(keys, drawn(schema["additionalProperties"]), max_size=min(3, schema["maxProperties"]))
    required = set(schema.get("required", ()))
    properties = {name: drawn(child) for name, child in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: value for name, value in properties.items() if name in required},
        optional={name: value for name, value in properties.items() if name not in required},
    )


def _array(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    keys = schema.get("x-kubernetes-list-map-keys")
    unique = (lambda item: tuple(item[key] for key in keys)) if keys else None
    low = schema.get("minItems", 0)
    return st.lists(drawn(schema["items"]), min_size=low, max_size=min(low + 2, schema["maxItems"]), unique_by=unique)


def _string(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    low, high = schema.get("minLength", 0), schema["maxLength"]
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='milliseconds')}Z")
    if "pattern" not in schema:
        return st.text(TEXT, min_size=low, max_size=min(high, 20))
    # RE2's $ is the end of the text, Python's may be before a last newline.
    pattern = schema["pattern"].removesuffix("$") + r"\Z"
    return st.from_regex(pattern, alphabet=st.characters(codec="ascii")).filter(lambda text: low <= len(text) <= high)
