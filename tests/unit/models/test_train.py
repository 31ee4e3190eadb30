"""Training: deterministic, and the variants differ as their names say."""

import json
from pathlib import Path

import pytest

from e2e.models import classifier, train

Models = tuple[Path, list[train.Result]]


def figures(models: Models) -> dict[str, train.Result]:
    return {result.name: result for result in models[1]}


def test_accuracies_differ_as_the_names_say(models: Models) -> None:
    found = {name: result.accuracy for name, result in figures(models).items()}
    assert 0.90 <= found["legacy"] <= 0.94
    assert found["good"] >= found["legacy"] + 0.02
    assert found["better"] >= found["legacy"] + 0.05
    assert found["inaccurate"] <= found["legacy"] - 0.10
    assert found["inaccurate"] > 0.6  # wrong often, not nonsense: nothing but accuracy gives it away


def test_only_erroring_fails_on_rows(models: Models) -> None:
    failing = {name: result.failing for name, result in figures(models).items()}
    assert 0.25 < failing.pop("erroring") < 0.45
    assert set(failing.values()) == {0.0}


def test_training_again_gives_the_same_files(models: Models, tmp_path: Path) -> None:
    train.train(tmp_path)
    names = sorted(path.name for path in models[0].iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    for name in names:
        assert (tmp_path / name).read_bytes() == (models[0] / name).read_bytes()


def test_exported_network_equals_a_hand_calculation() -> None:
    text = json.dumps(
        {
            "name": "tiny",
            "features": 3,
            "columns": [2, 0],
            "layers": [
                {"weights": [[1.0, 2.0], [-1.0, 0.0]], "bias": [0.5, 0.0]},
                {"weights": [[1.0, 100.0]], "bias": [-7.5]},
            ],
        }
    )
    model = classifier.from_json(text)
    # inputs (3, 2): hidden (3 + 4 + 0.5, relu(-3)) = (7.5, 0); logit 7.5 - 7.5 = 0
    assert model.score([2.0, 99.0, 3.0]) == 0.5


def test_artifacts_are_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELROLLOUT_CACHE", str(tmp_path))
    first = train.artifacts()
    assert (first / train.HELDOUT_FILE).is_file()
    stamp = (first / train.HELDOUT_FILE).stat().st_mtime_ns
    assert train.artifacts() == first
    assert (first / train.HELDOUT_FILE).stat().st_mtime_ns == stamp
