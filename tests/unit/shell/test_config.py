"""Flags and variables: every one takes effect, a bad one is told and ends the start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelrollout.shell.config import PREFIX, BadSettings, LogFormat, LogLevel, Settings, load

BASE = {"lease_namespace": "here", "lease_name": "ours"}
HERE = Path(__file__)
CHANGED: dict[str, tuple[str, object]] = {
    "kubeconfig": (str(HERE), HERE),
    "namespace": ("a,b", ("a", "b")),
    "selector": ("team=a", "team=a"),
    "lease_namespace": ("there", "there"),
    "lease_name": ("other", "other"),
    "identity": ("me", "me"),
    "web": ("127.0.0.1:0", "127.0.0.1:0"),
    "workers": ("4", 4),
    "resync": ("120", 120.0),
    "log_format": ("plain", LogFormat.PLAIN),
    "log_level": ("debug", LogLevel.DEBUG),
    "journal": ("/var/log/journal", Path("/var/log/journal")),
    "notify_file": ("/etc/modelrollout/targets.yaml", Path("/etc/modelrollout/targets.yaml")),
    "allow_loopback_sources": ("true", True),
}


def test_every_setting_is_in_the_table() -> None:
    assert CHANGED.keys() == Settings.model_fields.keys()


@pytest.mark.parametrize("name", CHANGED)
def test_a_variable_takes_effect_and_its_flag_wins(name: str) -> None:
    text, value = CHANGED[name]
    default = getattr(load(BASE, {}), name)
    assert default != value
    assert getattr(load({k: v for k, v in BASE.items() if k != name}, {PREFIX + name.upper(): text}), name) == value
    if name not in ("kubeconfig", "journal", "notify_file"):
        other = {"namespace": "zzz", "web": "1.2.3.4:5", "log_format": "json", "log_level": "error"}.get(name, "7")
        given = load({**BASE, name: value}, {PREFIX + name.upper(): other})
        assert getattr(given, name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kubeconfig", "/no/such/file"),
        ("namespace", "Not_A_Name"),
        ("selector", "team=a=b"),
        ("web", "8080"),
        ("web", "host:99999"),
        ("workers", "1"),
        ("workers", "many"),
        ("resync", "5"),
        ("log_format", "xml"),
        ("log_level", "loud"),
    ],
)
def test_a_bad_value_is_told_with_flag_variable_and_value(name: str, text: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(BASE, {PREFIX + name.upper(): text})
    told = str(caught.value)
    assert f"--{name.replace('_', '-')} ({PREFIX}{name.upper()})" in told
    assert text in told


def test_a_shard_takes_a_lease_of_its_own() -> None:
    given = {"lease_namespace": "here", "selector": "team=a"}
    with pytest.raises(BadSettings, match=r"^--lease-name .*is 'modelrollout-operator': with --selector it must be"):
        load(given, {})
    assert load(given | {"lease_name": "team-a"}, {}).lease_name == "team-a"


def test_outside_of_a_cluster_the_lease_namespace_must_be_given() -> None:
    with pytest.raises(BadSettings, match="--lease-namespace"):
        load({}, {})
    assert load({}, {"POD_NAMESPACE": "pod"}).lease_namespace == "pod"


def test_identities_differ_between_processes_but_not_between_restarts_of_a_pod() -> None:
    assert load(BASE, {}).identity != load(BASE, {}).identity
    pod = {"POD_NAME": "operator-abc", "POD_UID": "1-2-3"}
    assert load(BASE, pod).identity == load(BASE, pod).identity == "operator-abc_1-2-3"


def test_a_bad_flag_ends_with_2_and_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modelrollout", "run", "--lease-namespace", "x", "--workers", "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--workers" in done.stderr
    assert "Traceback" not in done.stderr
