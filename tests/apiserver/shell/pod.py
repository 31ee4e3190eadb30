"""The operator as kubelet would start it: a service account's files at their place, two variables, nothing else.

The files are mounted in a mount namespace of the process itself, so nothing is left behind on the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from e2e.cluster.apiserver import ApiServer
from tests.apiserver.shell.cluster import Operator

RBAC = Path(__file__).parents[3] / "examples" / "rbac.yaml"
NAMESPACE = "modelrollout"
ACCOUNT = "modelrollout-operator"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
PLACE = "/run/secrets/kubernetes.io/serviceaccount"
MOUNT = f'mount -t tmpfs none /run && mkdir -p {PLACE} && mount --bind "$0" {PLACE} && exec "$@"'


def token(server: ApiServer, *flags: str) -> str:
    """A token of the operator's account from the TokenRequest API, as kubelet asks for."""
    return server.kubectl("create", "token", ACCOUNT, "-n", NAMESPACE, *flags).stdout.strip()


class Pod(Operator):
    """One operator process that finds `secret` as its token; needs the objects of examples/rbac.yaml."""

    def __init__(self, server: ApiServer, directory: Path, secret: str, *flags: str) -> None:
        self.log = directory / "operator.log"
        self._files = directory / "account"
        self._files.mkdir()
        cluster = json.loads(server.kubeconfig.read_text())["clusters"][0]["cluster"]
        (self._files / "ca.crt").write_bytes(Path(cluster["certificate-authority"]).read_bytes())
        (self._files / "namespace").write_text(NAMESPACE)
        self.take(secret)
        at = urlsplit(server.url)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MODELROLLOUT_", "KUBE"))}
        rights = [] if os.geteuid() == 0 else ["--map-root-user"]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    *("unshare", "--mount", *rights, "sh", "-c", MOUNT, str(self._files)),
                    *(sys.executable, "-m", "modelrollout", "run", "--web", "127.0.0.1:0"),
                    *("--allow-loopback-sources", "--log-format", "plain", *flags),
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=kept | {"KUBERNETES_SERVICE_HOST": str(at.hostname), "KUBERNETES_SERVICE_PORT": str(at.port)},
            )

    def take(self, secret: str) -> None:
        """Put another token in the place of the one that is there, at one stroke, as kubelet does."""
        new = self._files / "token.new"
        new.touch(mode=0o600)
        new.write_text(secret)
        new.rename(self._files / "token")
