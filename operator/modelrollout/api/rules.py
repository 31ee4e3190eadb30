"""Base of the API models, and rules that are written once and hold twice: in Python and in the CRD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

LIST_KEYS = "x-kubernetes-list-map-keys"
LIST_TYPE = "x-kubernetes-list-type"
VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold beyond types and bounds: `cel` at the API server, `holds` in Python, one message for both.

    As metadata of a field it checks that field's value, in `Model.RULES` the whole object. `path` names the field to
    blame below the object (`.candidate.deployment`). `holds` None: a transition rule that only the server can check.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None = None
    path: str = ""

    def check(self, value: Any) -> Any:
        """`value`, or a validation error that carries `path`."""
        if self.holds is not None and not self.holds(value):
            raise PydanticCustomError("rule", "{message}", {"message": self.message, "path": self.path})
        return value

    def as_schema(self) -> dict[str, str]:
        """Entry of `x-kubernetes-validations`."""
        entry = {"rule": self.cel, "message": self.message}
        return {**entry, "fieldPath": self.path} if self.path else entry

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        out = dict(handler(schema))
        return {**out, VALIDATIONS: [*out.get(VALIDATIONS, []), self.as_schema()]}


@dataclass(frozen=True, slots=True)
class UniqueBy:
    """Metadata of a list of objects: a map by `key` to the API server, no key twice in Python."""

    key: str

    def check(self, items: Any) -> Any:
        """`items`, or a validation error."""
        keys = [getattr(item, self.key) for item in items]
        if len(set(keys)) < len(keys):
            raise PydanticCustomError("duplicate", "{message}", {"message": f"every {self.key} must be unique"})
        return items

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), LIST_TYPE: "map", LIST_KEYS: [self.key]}


class ApiModel(BaseModel):
    """Base of everything that appears in a resource: camelCase outside, immutable, unknown fields left out."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore")

    RULES: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in self.RULES:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        out = handler(schema)
        if cls.RULES:
            # The handler may answer with a reference; the rules belong to what it points at.
            handler.resolve_ref_schema(out)[VALIDATIONS] = [rule.as_schema() for rule in cls.RULES]
        return out
