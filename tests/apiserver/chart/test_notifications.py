"""The notification file in the chart: it arrives as it is read, its ports are open, and nothing else changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from e2e.chart import IMAGE, Refused, rendered
from modelrollout.api.notify_file import read
from modelrollout.api.targets import TargetKind
from tests.layout.documents import DOCS, blocks

# helm is built on first use.
pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

BASE = ("--set", f"image.repository={IMAGE},networkPolicy.enabled=true", "--set", "scope=cluster")
FILE = {"cluster": "prod", "targets": [{"name": "bus", "cloudevents": {"url": "https://broker.example.com/in"}}]}
INLINE = ("--set-json", f"notifications.file={json.dumps(FILE)}")
OWN = ("--set", "notifications.secretName=mine")
MOUNTED = "/etc/modelrollout/notify"


def of(kind: str, *flags: str) -> list[dict[str, Any]]:
    return [obj for obj in rendered(*BASE, *flags) if obj["kind"] == kind]


def pod(*flags: str) -> dict[str, Any]:
    (deployment,) = of("Deployment", *flags)
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def ports(*flags: str) -> set[int]:
    (policy,) = of("NetworkPolicy", *flags)
    (rule,) = policy["spec"]["egress"]
    return {port["port"] for port in rule["ports"]}


def test_without_notifications_nothing_is_mounted_or_opened() -> None:
    assert of("Secret") == []
    assert "NOTIFY" not in json.dumps(pod())
    assert ports() == {53, 80, 443, 6443, 9090}


def test_the_file_of_the_values_is_the_one_that_is_read() -> None:
    (secret,) = of("Secret", *INLINE)
    assert secret["metadata"]["name"] == "modelrollout-notifications"
    assert read(secret["stringData"]["targets.yaml"]).cluster == "prod"


def test_the_example_of_the_docs_passes_through_the_chart_unchanged() -> None:
    (text,) = (b.text for b in blocks(DOCS / "how-to" / "notifications.md") if b.language == "yaml")
    (secret,) = of("Secret", "--set-json", f"notifications.file={json.dumps(yaml.safe_load(text))}")
    found = read(secret["stringData"]["targets.yaml"])
    assert found == read(text)
    assert [target.kind for target in found.targets] == list(TargetKind)


@pytest.mark.parametrize(("flags", "name"), [(INLINE, "modelrollout-notifications"), (OWN, "mine")])
def test_the_operator_reads_the_mounted_folder(flags: tuple[str, ...], name: str) -> None:
    spec = pod(*flags)
    (container,) = spec["containers"]
    (mount,) = [m for m in container["volumeMounts"] if m["mountPath"] == MOUNTED]
    assert "subPath" not in mount, "a file that is mounted alone never changes"
    assert mount["readOnly"] is True
    (volume,) = [v for v in spec["volumes"] if v["name"] == mount["name"]]
    assert volume["secret"] == {"secretName": name, "optional": True}
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert env["MODELROLLOUT_NOTIFY_FILE"] == f"{MOUNTED}/targets.yaml"


def test_a_secret_of_the_admin_s_is_left_alone() -> None:
    assert of("Secret", *OWN) == []


def test_its_ports_are_open() -> None:
    assert ports(*OWN) == {53, 80, 443, 6443, 9090, 9093}
    assert 8065 in ports(*OWN, "--set", "networkPolicy.notificationPorts={8065}")


def test_no_right_to_read_secrets_comes_with_it() -> None:
    def rules(*flags: str) -> object:
        return [role["rules"] for kind in ("Role", "ClusterRole") for role in of(kind, *flags)]

    assert rules(*OWN) == rules(*INLINE) == rules()


def test_two_places_for_the_file_are_refused() -> None:
    with pytest.raises(Refused, match="both set"):
        rendered(*BASE, *INLINE, *OWN)
