"""The committed files are what the models say, and `--check` notices when they are not."""

from pathlib import Path

import pytest
import yaml

from modelrollout.api import crd
from modelrollout.core.model import ActionVerb, Phase, Verdict

ROOT = Path(__file__).parents[3]


def test_committed_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--check", str(ROOT / "crds"), "--docs", str(ROOT / "docs/reference/api.md")]
    assert crd.main(arguments) == 0, capsys.readouterr().err


@pytest.fixture
def written(tmp_path: Path) -> Path:
    assert crd.main(["--write", str(tmp_path / "crds"), "--docs", str(tmp_path / "api.md")]) == 0
    return tmp_path


def check(directory: Path) -> int:
    return crd.main(["--check", str(directory / "crds"), "--docs", str(directory / "api.md")])


def test_what_was_written_is_current(written: Path) -> None:
    assert check(written) == 0
    assert len(list((written / "crds").iterdir())) == 4


@pytest.mark.parametrize("name", ["crds/modelrollout.dev_modelrollouts.yaml", "api.md"])
def test_an_edited_file_is_not(written: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = written / name
    path.write_text(path.read_text().replace("Deployment", "StatefulSet", 1))
    assert check(written) == 1
    said = capsys.readouterr().err
    assert "-" in said
    assert "StatefulSet" in said
    assert "make crds" in said


def test_a_missing_file_is_not(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (written / "crds/modelrollout.dev_metricsources.yaml").unlink()
    assert check(written) == 1
    assert "metricsources.yaml: missing" in capsys.readouterr().err


def test_a_file_of_no_model_is_not(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (written / "crds/modelrollout.dev_old.yaml").write_text("")
    assert check(written) == 1
    assert "old.yaml: no model makes this file" in capsys.readouterr().err


def test_something_must_be_asked_for() -> None:
    with pytest.raises(SystemExit) as ended:
        crd.main([])
    assert ended.value.code == 2


def test_names_columns_and_subresource() -> None:
    (path,) = (ROOT / "crds").glob("*_modelrollouts.yaml")
    spec = yaml.safe_load(path.read_text())["spec"]
    version = spec["versions"][0]
    assert spec["names"]["shortNames"] == ["mr"]
    assert spec["names"]["categories"] == ["ml"]
    assert version["subresources"] == {"status": {}}
    columns = [(column["name"].upper(), column.get("priority", 0)) for column in version["additionalPrinterColumns"]]
    assert [name for name, priority in columns if priority == 0] == [
        "PHASE",
        "STEP",
        "WEIGHT",
        "VERDICT",
        "BURN",
        "AGE",
    ]
    assert [name for name, priority in columns if priority == 1] == ["LEGACY", "CANDIDATE", "REASON", "NEXT"]


def test_enumerations_are_those_of_the_core() -> None:
    kinds = {kind.name: crd.definition(kind)["spec"]["versions"][0] for kind in crd.KINDS}
    rollout, action = kinds["ModelRollout"], kinds["RolloutAction"]
    status = rollout["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    assert status["phase"]["enum"] == [str(phase) for phase in Phase]
    assert status["slis"]["items"]["properties"]["verdict"]["enum"] == [str(verdict) for verdict in Verdict]
    verbs = action["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["action"]["enum"]
    assert verbs == [str(verb) for verb in ActionVerb]
