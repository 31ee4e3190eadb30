"""What a machine or a provider can't do is said with the way out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from e2e.cluster.__main__ import main
from e2e.cluster.embedded import EmbeddedCluster
from e2e.cluster.kind import KindCluster
from e2e.cluster.machine import PACKAGE_TOOLS, TOOLS, Machine, require_embedded, require_kind
from e2e.cluster.processes import ClusterError
from e2e.cluster.provider import Tier
from e2e.cluster.providers import open_cluster

EVERYTHING = (*TOOLS, *PACKAGE_TOOLS)
SOUND = Machine(system="Linux", root=True, tools=EVERYTHING, cache=Path("/var/cache/modelrollout"))


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELROLLOUT_CACHE", str(tmp_path))


def without(*missing: str) -> Machine:
    return dataclasses.replace(SOUND, tools=[tool for tool in EVERYTHING if tool not in missing])


def test_a_sound_machine_is_accepted() -> None:
    require_embedded(SOUND, "full")
    require_kind(SOUND, "full", engine=False)
    require_embedded(without(*PACKAGE_TOOLS), "fake")


@pytest.mark.parametrize(
    ("machine", "tier", "message"),
    [
        pytest.param(
            dataclasses.replace(SOUND, system="Darwin"),
            "apiserver",
            "provider embedded needs Linux; use a Linux machine",
            id="another system",
        ),
        pytest.param(
            dataclasses.replace(SOUND, root=False),
            "full",
            r"needs root .* sudo.* tests of the API alone need no root",
            id="no root",
        ),
        pytest.param(without("nsenter", "ip"), "apiserver", "missing nsenter, ip: install the packages", id="tools"),
        pytest.param(without("apt-get"), "full", "no apt-get and dpkg; use Debian or Ubuntu", id="no apt"),
        pytest.param(
            dataclasses.replace(SOUND, cache=Path("/var/lib/ci/cache")),
            "apiserver",
            "/var/lib/ci/cache in /var/lib, .* set MODELROLLOUT_CACHE",
            id="cache in a private directory",
        ),
    ],
)
def test_embedded_says_what_is_missing(machine: Machine, tier: Tier, message: str) -> None:
    with pytest.raises(ClusterError, match=message):
        require_embedded(machine, tier)


@pytest.mark.parametrize(
    ("machine", "tier", "message"),
    [
        pytest.param(SOUND, "fake", "has tier full only, not fake; use provider embedded", id="tier"),
        pytest.param(
            dataclasses.replace(SOUND, system="Darwin"),
            "full",
            "needs Docker, which does not answer here; with a container engine of its own it needs Linux",
            id="another system",
        ),
        pytest.param(
            dataclasses.replace(SOUND, root=False), "full", "does not answer here; .* needs root", id="no root"
        ),
        pytest.param(without("dpkg-deb"), "full", "does not answer here; .* no apt-get and dpkg", id="no packages"),
    ],
)
def test_kind_says_what_is_missing(machine: Machine, tier: Tier, message: str) -> None:
    with pytest.raises(ClusterError, match=message):
        require_kind(machine, tier, engine=False)


def test_with_an_engine_of_the_machine_kind_needs_no_root_but_what_images_are_made_of() -> None:
    plain = dataclasses.replace(SOUND, root=False, tools=PACKAGE_TOOLS)
    require_kind(plain, "full", engine=True)
    with pytest.raises(ClusterError, match="provider kind needs Linux; use a Linux machine"):
        require_kind(dataclasses.replace(plain, system="Darwin"), "full", engine=True)
    with pytest.raises(ClusterError, match=r"provider kind takes .* no apt-get and dpkg; use Debian or Ubuntu"):
        require_kind(dataclasses.replace(plain, tools=()), "full", engine=True)


def test_kind_says_what_it_does_not_have() -> None:
    cluster = KindCluster("demo")
    with pytest.raises(ClusterError, match="does not have an audit log; use provider embedded"):
        cluster.audit()
    with pytest.raises(ClusterError, match="does not have a way to stop components; use provider embedded"):
        cluster.stop("prometheus")
    with pytest.raises(ClusterError, match="does not have a way to signal components; use provider embedded"):
        cluster.signal("coredns", 9)


def test_the_provider_is_named_by_argument_then_variable_then_embedded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MODELROLLOUT_PROVIDER", raising=False)
    assert isinstance(open_cluster("demo"), EmbeddedCluster)
    monkeypatch.setenv("MODELROLLOUT_PROVIDER", "kind")
    assert isinstance(open_cluster("demo"), KindCluster)
    assert isinstance(open_cluster("demo", provider="embedded"), EmbeddedCluster)
    monkeypatch.setenv("MODELROLLOUT_PROVIDER", "minikube")
    with pytest.raises(ClusterError, match="MODELROLLOUT_PROVIDER is 'minikube'; it must be one of embedded, kind"):
        open_cluster("demo")


def test_the_command_line_tells_an_error_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "--name", "demo", "etcd"]) == 1
    assert capsys.readouterr().err == "error: cluster demo has no log of 'etcd'; there are: none\n"
    assert main(["up", "--name", "../demo"]) == 1
    assert "cluster name '../demo' must be" in capsys.readouterr().err
    assert main(["exec", "--name", "demo"]) == 1
    assert "exec needs a program" in capsys.readouterr().err


def test_status_of_nothing_is_an_answer_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--name", "demo"]) == 1
    assert capsys.readouterr().out == "cluster demo is not up\n"
    assert main(["list"]) == 0
    assert capsys.readouterr().out == ""


def test_ctrl_c_ends_a_watch_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(EmbeddedCluster, "run", interrupted)
    assert main(["exec", "--name", "demo", "--provider", "embedded", "--", "kubectl", "get", "mr", "-w"]) == 130
