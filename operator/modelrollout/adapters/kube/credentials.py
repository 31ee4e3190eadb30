"""Where the right to talk to the API server comes from: a kubeconfig, or the files that kubelet gives to a pod.

Both HTTP clients of the process, ours and kopf's, ask here, so that one can't get in where the other stays outside:
kopf alone knows neither exec plugins nor `tokenFile`, and inside a cluster it needs the cluster's DNS.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from modelrollout.errors import Denied

BEARER = "BearerToken"
"""Key under which the official client keeps the value of its Authorization header."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """One way in, for a client that is not ours. Paths are files; empty texts are absent.

    `scheme` and `secret` are the two words of the Authorization header; `verify`: whether the server's certificate
    must be right.
    """

    server: str
    ca: str = ""
    scheme: str = ""
    secret: str = ""
    certificate: str = ""
    key: str = ""
    proxy: str = ""
    verify: bool = True

    def __repr__(self) -> str:
        return f"Credentials({self.server!r})"  # never the secret


async def configuration(kubeconfig: Path | None, context: str | None = None) -> Configuration:
    """The official client's settings, read now: files are opened and exec plugins run at each call.

    Without `kubeconfig` those of the pod that this process runs in. Raises Denied when there is nothing usable.
    """
    made = Configuration()
    try:
        if kubeconfig is None:
            load_incluster_config(client_configuration=made)  # type: ignore[no-untyped-call]  # no types there
        else:
            await load_kube_config(  # type: ignore[no-untyped-call]  # no types there
                str(kubeconfig), context=context, client_configuration=made, persist_config=False
            )
    except (ConfigException, OSError, yaml.YAMLError) as error:
        raise Denied(f"no usable cluster credentials: {error}") from error
    made.retries = None
    # Read once, here. Left to the client, every single call would look for ~/.netrc (whose login is not meant for the
    # API server) and for the proxy of the environment, each in a thread.
    made.proxy = made.proxy or _environment_proxy(made.host)
    made.client_session_kwargs = {"trust_env": False}
    return made


def _environment_proxy(server: str) -> str | None:
    parts = urlsplit(server)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


async def credentials(kubeconfig: Path | None, context: str | None = None) -> Credentials:
    """The same for another client. Raises Denied."""
    made = await configuration(kubeconfig, context)
    scheme, _, secret = made.api_key.get(BEARER, "").strip().partition(" ")
    return Credentials(
        server=made.host,
        ca=made.ssl_ca_cert or "",
        scheme=scheme.capitalize(),
        secret=secret,
        certificate=made.cert_file or "",
        key=made.key_file or "",
        proxy=made.proxy or "",
        verify=made.verify_ssl,
    )
