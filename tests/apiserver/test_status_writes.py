"""The status as the operator writes it: taken by a real API server, read back the same, nothing left behind."""

from pathlib import Path

import pytest
import yaml

from e2e.cluster.apiserver import ApiServer
from modelrollout.api.convert import action_target, to_action, to_source, to_spec
from modelrollout.api.source import Source
from modelrollout.api.status_codec import MAX_BYTES, as_stored, decode, encode, encode_result, size
from modelrollout.core.intents import ActionResult
from modelrollout.core.model import Key, Phase, RolloutSpec
from modelrollout.core.status import RolloutStatus
from tests.apiserver.conftest import Resources
from tests.unit.api.statuses import full

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(900)]

CORPUS = Path(__file__).parent / "corpus" / "good"


@pytest.fixture
def rollout(resources: Resources) -> str:
    obj = yaml.safe_load((CORPUS / "smallest.yaml").read_text())
    obj["metadata"] = {"generateName": "status-", "namespace": "default"}
    return str(resources.create(obj)["metadata"]["name"])


def write(resources: Resources, name: str, status: RolloutStatus) -> RolloutStatus:
    stored = resources.patch("ModelRollout", name, {"status": encode(status)}, status=True)
    assert size(stored["status"]) < MAX_BYTES
    found = decode(stored["status"])
    assert found is not None
    return found


@pytest.mark.parametrize(
    "text", ["burn 14.4 > 12 (allowed 0.1 %, n=1234)", "x" * 2000, "模型" * 1000, "\U0001f525\n\t\0" * 500]
)
def test_a_full_status_is_taken_and_read_back(resources: Resources, rollout: str, text: str) -> None:
    assert write(resources, rollout, full(text)) == as_stored(full(text))


def test_a_later_write_leaves_nothing_of_an_earlier_one(resources: Resources, rollout: str) -> None:
    write(resources, rollout, full())
    assert write(resources, rollout, RolloutStatus()) == RolloutStatus()
    quiet = RolloutStatus(observed_generation=1, phase=Phase.PROMOTED, revision="abc")
    assert write(resources, rollout, quiet) == quiet


def test_a_status_write_does_not_move_the_generation(resources: Resources, rollout: str) -> None:
    stored = resources.patch("ModelRollout", rollout, {"status": encode(full())}, status=True)
    assert stored["metadata"]["generation"] == 1
    spec = to_spec(stored, strict=True)
    assert isinstance(spec, RolloutSpec)
    assert (spec.generation, spec.key, spec.uid) == (1, Key("default", rollout), stored["metadata"]["uid"])


def test_columns(server: ApiServer, resources: Resources, rollout: str) -> None:
    write(resources, rollout, full())
    header, row = server.kubectl("get", "mr", "-n", "default", rollout).stdout.splitlines()
    assert header.split() == ["NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "BURN", "AGE"]
    assert row.split()[1:6] == ["RollingBack", "20/20", "99.99%", "NO_DATA", "1234.5x"]
    wide, row = server.kubectl("get", "mr", "-n", "default", rollout, "-o", "wide").stdout.splitlines()
    assert wide.split()[-4:] == ["LEGACY", "CANDIDATE", "REASON", "NEXT"] or wide.split()[-5:-1] == [
        "LEGACY",
        "CANDIDATE",
        "REASON",
        "NEXT",
    ]
    assert {"fraud-v7", "fraud-v8", "MetricsUnreachable"} <= set(row.split())
    assert rollout in server.kubectl("get", "ml", "-n", "default", "-o", "name").stdout


def test_an_action_and_its_result(resources: Resources) -> None:
    obj = yaml.safe_load((CORPUS / "action-smallest.yaml").read_text())
    obj["metadata"] = {"generateName": "result-", "namespace": "default"}
    stored = resources.create(obj)
    name = stored["metadata"]["name"]
    request = to_action(stored)
    assert request is not None
    assert request.created > 1_700_000_000
    assert action_target(stored) == Key("default", "fraud")
    result = encode_result(ActionResult(name, request.uid, True, "traffic goes back to legacy"), request.created)
    finished = resources.patch("RolloutAction", name, {"status": result}, status=True)
    assert finished["status"] == result
    assert to_action(finished) is None


def test_a_source_as_stored(resources: Resources) -> None:
    obj = yaml.safe_load((CORPUS / "source-label.yaml").read_text())
    obj["metadata"] = {"generateName": "source-"}
    assert isinstance(to_source(resources.create(obj), strict=True), Source)
