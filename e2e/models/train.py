"""Train the variants' classifiers at build time and export them as JSON, with held-out rows for the load.

Data: the breast-cancer set that ships with scikit-learn (569 rows, 30 features; label 1 = malignant).
60 % train, 40 % are held out. Everything is seeded; weights are rounded, so two runs give the same files.
"""

import argparse
import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster.artifacts import cached
from e2e.models import classifier

SEED = 11
HELD_OUT = 0.4
MODELS = ("legacy", "good", "better", "inaccurate", "erroring")
HELDOUT_FILE = "heldout.jsonl"
SIZE_COLUMN = 23  # "worst area": large tumours fall out of the table of `erroring`


@dataclass(frozen=True, slots=True)
class Result:
    """Held-out figures of one exported model. Accuracy is over the rows that it answered."""

    name: str
    accuracy: float
    failing: float


def train(out: Path) -> list[Result]:
    """Train all models, write `<name>.json` each and `heldout.jsonl` to `out`, return held-out figures."""
    # Imported here: the server's image and the load generator have no scikit-learn.
    import numpy as np
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    data = load_breast_cancer()
    rows, labels = data.data, 1 - data.target
    x_train, x_test, y_train, y_test = train_test_split(
        rows, labels, test_size=HELD_OUT, stratify=labels, random_state=SEED
    )
    scaler = StandardScaler().fit(x_train)
    scaled = scaler.transform(x_train)
    everything = list(range(rows.shape[1]))

    def logistic(name: str, columns: list[int], y: Any, size_table: dict[str, Any] | None = None) -> str:
        fitted = LogisticRegression(C=1.0, max_iter=2000).fit(scaled[: len(y), columns], y)
        layers = [(fitted.coef_, fitted.intercept_)]
        return _export(name, scaler, columns, layers, size_table)

    shuffled = y_train.copy()
    rng = np.random.default_rng(SEED)
    chosen = rng.choice(len(shuffled), int(0.7 * len(shuffled)), replace=False)
    shuffled[chosen] = rng.permutation(shuffled[chosen])

    mlp = MLPClassifier((16,), activation="relu", solver="lbfgs", alpha=3.0, max_iter=2000, random_state=1)
    mlp.fit(scaled, y_train)
    hidden = [(weights.T, bias) for weights, bias in zip(mlp.coefs_, mlp.intercepts_, strict=True)]

    edges = [round(float(q), 1) for q in np.quantile(x_train[:, SIZE_COLUMN], [0.2, 0.45, 0.65])]
    table = {"column": SIZE_COLUMN, "edges": edges, "shift": [-0.1, -0.05, 0.05]}
    texts = {
        "legacy": logistic("legacy", [0, 1, 4], y_train[:60]),
        "good": logistic("good", [0, 1, 4, 5, 6], y_train),
        "better": _export("better", scaler, everything, hidden, None),
        "inaccurate": logistic("inaccurate", everything, shuffled),
        "erroring": logistic("erroring", everything, y_train, table),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / f"{name}.json").write_text(text)
    held = [([float(v) for v in row], int(label)) for row, label in zip(x_test, y_test, strict=True)]
    lines = (json.dumps({"row": row, "label": label}, separators=(",", ":")) for row, label in held)
    (out / HELDOUT_FILE).write_text("\n".join(lines) + "\n")
    return [measure(classifier.from_json(texts[name]), held) for name in MODELS]


def _export(
    name: str,
    scaler: Any,
    columns: list[int],
    layers: Sequence[tuple[Any, Any]],
    table: dict[str, Any] | None,
) -> str:
    """Write a network over standardised inputs as JSON over raw inputs: the scaler goes into layer one."""
    first, bias = layers[0]
    folded = first / scaler.scale_[columns]
    start = bias - folded @ scaler.mean_[columns]
    exported = [
        {"weights": [[_short(w) for w in row] for row in weights], "bias": [_short(b) for b in biases]}
        for weights, biases in [(folded, start), *layers[1:]]
    ]
    model = {
        "name": name,
        "features": len(scaler.mean_),
        "columns": columns,
        "layers": exported,
        "size_table": table,
    }
    return json.dumps(model, separators=(",", ":"))


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def measure(model: classifier.Classifier, held: Sequence[tuple[list[float], int]]) -> Result:
    """Run the exported model as the server does, over the held-out rows."""
    right = answered = 0
    for row, label in held:
        try:
            predicted = int(model.score(row) >= 0.5)
        except IndexError:
            continue
        answered += 1
        right += predicted == label
    return Result(model.name, right / answered, 1 - answered / len(held))


def artifacts() -> Path:
    """Return the directory with the exported models and held-out rows, from the build cache (about 3 s to make)."""
    key = [Path(__file__).read_bytes(), Path(classifier.__file__).read_bytes()]
    key.append(importlib.metadata.version("scikit-learn").encode())

    def build(directory: Path) -> None:
        train(directory)

    return cached("models", key=key, build=build, label="toy models", estimate_s=5)


def main() -> None:
    parser = argparse.ArgumentParser(description="train the variants and print their held-out accuracy")
    parser.add_argument("--out", type=Path, required=True, help="directory for the JSON files")
    for result in train(parser.parse_args().out):
        print(f"{result.name:11} accuracy {result.accuracy:.4f}  rows that fail {result.failing:.4f}")


if __name__ == "__main__":
    main()
