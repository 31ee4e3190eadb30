"""Evaluate an exported classifier: standard library only, because it runs in a minimal image.

The JSON of a model (written by `train.py`):

    {"name": "better", "features": 30, "columns": [0, 1, ...],
     "layers": [{"weights": [[...], ...], "bias": [...]}, ...],
     "size_table": null | {"column": 23, "edges": [...], "shift": [...]}}

`columns` picks the inputs. Each layer is dense; all but the last are followed by ReLU, the last has one
output, whose sigmoid is the score (probability of label 1). A logistic regression is one layer.
"""

import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class BadRow(ValueError):
    """A row that is no input of this model; the message names the row, the bound and the fix."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One dense layer: `weights[output][input]` and `bias[output]`."""

    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]

    def apply(self, values: Sequence[float]) -> list[float]:
        """Return `weights . values + bias`."""
        return [
            b + sum(w * v for w, v in zip(row, values, strict=True))
            for row, b in zip(self.weights, self.bias, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class SizeTable:
    """A correction looked up by one feature: `shift[i]` belongs to values below `edges[i]`."""

    column: int
    edges: tuple[float, ...]
    shift: tuple[float, ...]

    def look_up(self, row: Sequence[float]) -> float:
        """Return the shift of the row's bucket. IndexError beyond the last edge when the table is too short.

        That is the defect of the variant `erroring`: its table was built from rows that lacked the largest
        values, so it has no last bucket.
        """
        return self.shift[bisect_right(self.edges, row[self.column])]


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained binary classifier."""

    name: str
    features: int
    columns: tuple[int, ...]
    layers: tuple[Layer, ...]
    size_table: SizeTable | None

    def score(self, row: Sequence[float]) -> float:
        """Return the probability of label 1, in [0, 1]."""
        values = [row[column] for column in self.columns]
        for layer in self.layers[:-1]:
            values = [max(0.0, value) for value in layer.apply(values)]
        logit = self.layers[-1].apply(values)[0]
        if self.size_table is not None:
            logit += self.size_table.look_up(row)
        return sigmoid(logit)

    def check(self, rows: object, *, limit: int) -> list[list[float]]:
        """Return the rows as lists of finite floats, or raise BadRow. One bare row counts as one row."""
        if not isinstance(rows, list) or not rows:
            raise BadRow("rows must be a list of rows of numbers, and not empty")
        if not isinstance(rows[0], list):
            rows = [rows]
        if len(rows) > limit:
            raise BadRow(f"rows has {len(rows)} rows; at most {limit} are allowed, send several requests")
        return [self._check_row(row, index) for index, row in enumerate(rows)]

    def _check_row(self, row: object, index: int) -> list[float]:
        if not isinstance(row, list) or len(row) != self.features:
            found = len(row) if isinstance(row, list) else type(row).__name__
            raise BadRow(f"rows[{index}] must hold {self.features} numbers, found {found}")
        for column, value in enumerate(row):
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise BadRow(f"rows[{index}][{column}] must be a finite number, found {str(value)[:20]!r}")
        return [float(value) for value in row]


def sigmoid(logit: float) -> float:
    """Logistic function that does not overflow."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    e = math.exp(logit)
    return e / (1.0 + e)


def from_json(text: str) -> Classifier:
    """Build a classifier from the JSON text of a model. KeyError or ValueError when it is none."""
    raw: Mapping[str, Any] = json.loads(text)
    table = raw.get("size_table")
    return Classifier(
        name=raw["name"],
        features=raw["features"],
        columns=tuple(raw["columns"]),
        layers=tuple(
            Layer(tuple(tuple(row) for row in layer["weights"]), tuple(layer["bias"])) for layer in raw["layers"]
        ),
        size_table=table
        and SizeTable(column=table["column"], edges=tuple(table["edges"]), shift=tuple(table["shift"])),
    )


def load(directory: Path, name: str) -> Classifier:
    """Read `<directory>/<name>.json`. FileNotFoundError names the models that are there."""
    path = directory / f"{name}.json"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in directory.glob("*.json"))) or "none"
        raise FileNotFoundError(f"model {name!r} not found in {directory}; there: {there}")
    return from_json(path.read_text())
