"""Credentials: what a kubeconfig says reaches both clients, and what ended while the process ran is read anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.control_plane import plain_kubeconfig
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.credentials import credentials
from modelrollout.adapters.kube.resources import SERVICES
from modelrollout.errors import Denied
from modelrollout.shell.handlers import connection
from tests.contract.fake_api import FakeApi, Fault

URL = "https://api.example.com:6443"
UNKNOWN = Fault(401, json.dumps({"kind": "Status", "message": "Unauthorized", "code": 401}))


def kubeconfig(directory: Path, user: dict[str, Any], *, url: str = URL, **cluster: object) -> Path:
    path = plain_kubeconfig(directory / "kubeconfig", url)
    config = json.loads(path.read_text())
    config["users"][0]["user"] = user
    config["clusters"][0]["cluster"] |= cluster
    path.write_text(json.dumps(config))
    return path


def printing(secret: str, file: Path) -> dict[str, Any]:
    """A user whose exec plugin prints this token."""
    version = "client.authentication.k8s.io/v1"
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": secret}}
    file.write_text(json.dumps(answer))
    return {"exec": {"apiVersion": version, "command": "cat", "args": [str(file)], "interactiveMode": "Never"}}


@pytest.mark.parametrize("way", ["token", "tokenFile", "exec", "password"])
async def test_kopf_gets_what_the_kubeconfig_says(tmp_path: Path, way: str) -> None:
    (tmp_path / "token").write_text("s3cret")
    users: dict[str, dict[str, Any]] = {
        "token": {"token": "s3cret"},
        "tokenFile": {"tokenFile": str(tmp_path / "token")},
        "exec": printing("s3cret", tmp_path / "answer"),
        "password": {"username": "me", "password": "s3cret"},
    }
    found = await credentials(kubeconfig(tmp_path, users[way]))
    taken = connection(found)
    expected = "Basic bWU6czNjcmV0" if way == "password" else "Bearer s3cret"
    assert taken.as_http_headers() == {"Authorization": expected}
    assert (taken.server, taken.insecure) == (URL, False)
    assert "s3cret" not in repr(found)


async def test_files_proxy_and_distrust_reach_kopf(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("x")
    user = {"client-certificate": str(tmp_path / "cert"), "client-key": str(tmp_path / "key")}
    more: dict[str, Any] = {"proxy-url": "http://proxy:3128", "insecure-skip-tls-verify": True}
    path = kubeconfig(tmp_path, user, **{"certificate-authority": str(tmp_path / "ca"), **more})
    taken = connection(await credentials(path))
    assert taken.as_http_headers() == {}
    files = (taken.ca_path, taken.certificate_path, taken.private_key_path)
    assert files == tuple(str(tmp_path / name) for name in ("ca", "cert", "key"))
    assert (taken.proxy_url, taken.insecure) == ("http://proxy:3128", True)


async def test_the_proxy_of_the_environment_serves_both_clients_unless_the_kubeconfig_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://environment:3128")
    assert (await credentials(kubeconfig(tmp_path, {}))).proxy == "http://environment:3128"
    own: dict[str, Any] = {"proxy-url": "http://own:3128"}
    assert (await credentials(kubeconfig(tmp_path, {}, **own))).proxy == "http://own:3128"
    monkeypatch.setenv("no_proxy", "example.com")
    assert (await credentials(kubeconfig(tmp_path, {}))).proxy == ""


async def test_bug_every_call_read_netrc_and_sent_the_login_in_it(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with await KubeClient.connect(kubeconfig(tmp_path, {}, url=api.url)) as client:
        await client.create(SERVICES, "serving", {"metadata": {"name": "a"}})
    assert [request.headers.get("Authorization") for request in api.requests] == [None]


async def test_a_file_that_is_no_kubeconfig_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("{")
    with pytest.raises(Denied, match="no usable cluster credentials"):
        await credentials(tmp_path / "bad")


async def test_a_refused_token_is_read_anew_and_the_call_repeated_once(api: FakeApi, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, printing("old", tmp_path / "answer"), url=api.url)
    async with await KubeClient.connect(path) as client:
        printing("new", tmp_path / "answer")
        api.fail("POST", fault=UNKNOWN)
        await client.create(SERVICES, "serving", {"metadata": {"name": "a"}})
        await client.get(SERVICES, "serving", "a")
    sent = [(request.method, request.headers["Authorization"]) for request in api.requests]
    assert sent == [("POST", "Bearer old"), ("POST", "Bearer new"), ("GET", "Bearer new")]


async def test_a_refused_token_that_is_still_the_newest_is_not_tried_again(api: FakeApi, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {"token": "only"}, url=api.url)
    async with await KubeClient.connect(path) as client:
        api.fail("GET", fault=UNKNOWN)
        with pytest.raises(Denied):
            await client.get(SERVICES, "serving", "a")
        path.write_text("{")
        api.fail("GET", fault=UNKNOWN)
        with pytest.raises(Denied, match="Unauthorized"):
            await client.get(SERVICES, "serving", "a")
    assert len(api.requests) == 2
