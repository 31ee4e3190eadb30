"""`version`: of the client alone, and of what the cluster has, with a word where they do not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelrollout import __version__
from tests.unit.cli.doctor_scene import deployment
from tests.unit.cli.fake import FakeKubectl
from tests.unit.cli.test_reads import run

DENIED = 'Error from server (Forbidden): x is forbidden: User "jo" cannot list resource "x"\n'


def crd(plural: str, label: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/version": label} if label else {}
    return {"metadata": {"labels": labels}, "spec": {"names": {"plural": plural}}}


def crds(label: str = __version__) -> dict[str, Any]:
    return {"kind": "List", "items": [crd(each, label) for each in ("modelrollouts", "metricsources")]}


def test_the_client_alone_asks_nobody(kubectl: FakeKubectl) -> None:
    assert run("version", "--client") == (0, f"{__version__}\n", "")
    assert json.loads(run("version", "--client", "-o", "json")[1]) == {"client": __version__}
    assert kubectl.calls == []


def test_client_operator_and_crds(kubectl: FakeKubectl) -> None:
    kubectl.finds({"items": [deployment()]})
    kubectl.finds(crds())
    code, out, err = run("version")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"client    {__version__}",
        f"operator  {__version__} (modelrollout/modelrollout, image example.com/mr:0.1.0)",
        f"CRDs      {__version__} (metricsources, modelrollouts)",
    ]
    assert all("--request-timeout=5s" in call for call in kubectl.calls)


def test_versions_that_do_not_fit_are_told(kubectl: FakeKubectl) -> None:
    kubectl.finds({"items": [deployment(version="0.9.1")]})
    kubectl.finds(crds("0.8.0"))
    code, out, err = run("version")
    assert code == 0
    assert "operator  0.9.1 " in out
    assert err.splitlines() == [
        f"warning: operator modelrollout/modelrollout is 0.9.1, this client {__version__}: install the same version of "
        "both",
        f"warning: the CRDs are 0.8.0, this client {__version__}: apply the CRDs of the operator's version",
    ]


def test_without_a_label_the_tag_of_the_image_tells(kubectl: FakeKubectl) -> None:
    kubectl.finds({"items": [deployment(version="")]})
    kubectl.finds(crds(""))
    out = run("version")[1]
    assert "operator  0.1.0 (" in out
    assert "CRDs      - (without a version label) (metricsources, modelrollouts)" in out


@pytest.mark.parametrize("output", ["text", "json"])
def test_what_may_not_be_read_is_a_dash_with_its_reason(kubectl: FakeKubectl, output: str) -> None:
    kubectl.answers("", said=DENIED, code=1)
    code, out, err = run("version", "-o", output)
    assert (code, err) == (0, "")
    if output == "text":
        assert out.splitlines()[1].startswith("operator  - (forbidden: ")
        assert out.splitlines()[2].startswith("CRDs      - (forbidden: ")
    else:
        shown = json.loads(out)
        assert (shown["client"], shown["operators"], shown["crds"]) == (__version__, None, None)
        assert len(shown["notKnown"]) == 2


def test_a_cluster_without_anything_of_ours(kubectl: FakeKubectl) -> None:
    kubectl.finds({"items": []})
    kubectl.answers("")
    assert run("version")[1].splitlines()[1:] == [
        "operator  - (no Deployment of the chart)",
        "CRDs      - (not installed)",
    ]
    assert run("version", "-o", "name")[0] == 2
