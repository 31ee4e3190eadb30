"""Compiled schemas: what our CRDs do not use, or the contract with the real server can't show."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.chaos.apiserver.crds import schemas
from e2e.chaos.apiserver.schema import Unsupported, compiled
from modelrollout.adapters.kube.resources import ACTIONS, PROFILES, ROLLOUTS, SOURCES, Body


def checked(schema: Body, value: Any, old: Any = None) -> tuple[Any, set[tuple[str, str]]]:
    causes: list[Body] = []
    out = compiled(schema).check(value, old, (), causes)
    return out, {(cause["reason"].removeprefix("FieldValue"), cause["field"]) for cause in causes}


def an_object(**properties: Body) -> Body:
    return {"type": "object", "properties": properties}


def test_our_crds_ask_for_nothing_that_is_not_checked() -> None:
    assert set(schemas()) == {ROLLOUTS, ACTIONS, SOURCES, PROFILES}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": "email"},
        {"type": "integer", "multipleOf": 2},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        {"type": "object", "oneOf": []},
        {"type": "tuple"},
        {},
    ],
    ids=str,
)
def test_a_keyword_that_is_not_known_is_an_error(schema: Body) -> None:
    with pytest.raises(Unsupported):
        compiled(an_object(a=schema))


def test_defaults_are_filled_in_and_have_defaults_of_their_own() -> None:
    inner = an_object(b={"type": "integer", "default": 1})
    schema = an_object(a={**inner, "default": {}}, c={"type": "string", "default": "x"})
    assert checked(schema, {}) == ({"a": {"b": 1}, "c": "x"}, set())
    assert checked(schema, {"c": None, "a": {"b": 2}}) == ({"a": {"b": 2}, "c": "x"}, set())


def test_null_is_kept_where_it_may_be() -> None:
    text = {"type": "string", "nullable": True}
    schema = an_object(a=text, b={"type": "array", "items": text}, c={"type": "object", "additionalProperties": text})
    value = {"a": None, "b": [None], "c": {"x": None}}
    assert checked(schema, value) == (value, set())


def test_maps_have_values_of_one_kind() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 2}
    assert checked(schema, {"a": "1"}) == ({"a": "1"}, set())
    assert checked(an_object(m=schema), {"m": {"a": 1}})[1] == {("TypeInvalid", "m.a")}
    assert checked(an_object(m=schema), {"m": {"a": None}})[1] == {("TypeInvalid", "m.a")}
    assert checked(an_object(m=schema), {"m": {"a": "", "b": "", "c": ""}})[1] == {("TooMany", "m")}


def test_unknown_fields_stay_where_the_schema_says_so() -> None:
    schema = {**an_object(a={"type": "integer"}), "x-kubernetes-preserve-unknown-fields": True}
    assert checked(schema, {"a": 1, "b": [None]}) == ({"a": 1, "b": [None]}, set())


def test_a_set_has_each_item_once() -> None:
    schema = {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}
    assert checked(an_object(s=schema), {"s": ["a", "b", "a"]})[1] == {("Duplicate", "s[2]")}


def test_what_is_as_it_was_is_taken_over_even_if_it_would_be_refused_today() -> None:
    """As the real one ratchets; it is also what makes a status write cheap."""
    schema = an_object(
        a={"type": "string", "maxLength": 1}, b={"type": "array", "items": an_object(c={"type": "integer"})}
    )
    old = {"a": "too long", "b": [{"c": "no"}, {"c": 1}]}
    new = {"a": "too long", "b": [{"c": "no"}, {"c": 2}]}
    out, causes = checked(schema, new, old)
    assert (out, causes) == (new, set())
    assert out["b"][0] is old["b"][0]
    assert checked(schema, {"a": "longer still"}, old)[1] == {("TooLong", "a")}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer", "format": "int32"}, 2**31 - 1, 2**31),
        ({"type": "integer", "minimum": 1}, 1, 0),
        ({"type": "number", "maximum": 1.5}, 1.5, 1.6),
        ({"type": "string", "pattern": "^a$"}, "a", "a\n"),
        ({"type": "string", "pattern": "b"}, "abc", "ac"),
        ({"type": "string", "minLength": 2}, "ab", "a"),
        ({"type": "string", "enum": ["a"]}, "a", "b"),
        ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00.5+01:00", "2026-01-01"),
        ({"type": "boolean"}, False, 0),
        ({"type": "integer"}, 3.0, True),
        ({"x-kubernetes-int-or-string": True}, "5", True),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 1}, [True], []),
        ({"type": "object", "minProperties": 1, "additionalProperties": {"type": "boolean"}}, {"a": True}, {}),
    ],
    ids=str,
)
def test_bounds_are_where_the_schema_has_them(schema: Body, good: Any, bad: Any) -> None:
    assert checked(schema, good) == (good, set())
    assert len(checked(schema, bad)[1]) == 1
