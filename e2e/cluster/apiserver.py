"""Tier `apiserver`: a real kube-apiserver with etcd as plain processes on loopback.

No root, no namespaces, no node: objects are stored, validated, watched and authorized, but no controller acts
(pods stay Pending, namespaces stay Terminating, nothing is garbage-collected).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster import programs
from e2e.cluster.artifacts import cache_root
from e2e.cluster.control_plane import Address, ControlPlane, make_control_plane, read_audit
from e2e.cluster.processes import ClusterError, Process, free_ports, start, wait_for

START_TIMEOUT_S = 60.0
PORT_ATTEMPTS = 3
FLAGS = (
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    "--authorization-mode=RBAC",
    # Loopback is no valid endpoint of the kubernetes Service, and nobody makes service accounts.
    "--endpoint-reconciler-type=none",
    "--disable-admission-plugins=ServiceAccount",
)


class ApiServer:
    """A running API server. `outage()` takes it away for a while; its data stays."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._etcd: Process | None = None
        self._server: Process | None = None

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of an administrator; its certificates are separate files beside it."""
        return self._plane.kubeconfig

    @property
    def plane(self) -> ControlPlane:
        """Its files and command lines."""
        return self._plane

    @property
    def url(self) -> str:
        """Base URL, such as https://127.0.0.1:41234."""
        return self._plane.address.url

    @property
    def pids(self) -> tuple[int, int]:
        """Process numbers of the API server and of etcd. Raises ClusterError when they do not run."""
        if self._server is None or self._etcd is None:
            raise ClusterError("the API server is not running")
        return self._server.popen.pid, self._etcd.popen.pid

    @property
    def audit_log(self) -> Path:
        """File of audit events, one JSON object a line; written with `audit=True`."""
        return self._plane.audit_log

    def audit(self) -> list[dict[str, object]]:
        """Audit events (metadata level) so far, oldest first; empty without `audit=True`."""
        return read_audit(self._plane.audit_log)

    def kubectl(
        self, *args: str | Path, input_text: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as administrator. Raises ClusterError with its output when `check` and it fails."""
        argv = [str(self._plane.programs / "kubectl"), *(str(arg) for arg in args)]
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(argv, input=input_text, env=env, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(argv[1:])}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def install_crds(self, *paths: Path) -> None:
        """Apply CRD files or directories and wait until the server serves them."""
        if not paths:
            return
        files = [argument for path in paths for argument in ("-f", str(path))]
        # Server-side: the Gateway API's CRDs are too large for the last-applied annotation.
        applied = self.kubectl("apply", "--server-side", "-o", "name", *files).stdout.split()
        crds = [name for name in applied if name.startswith("customresourcedefinition")]
        if crds:
            self.kubectl("wait", "--for=condition=Established", "--timeout=30s", *crds)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """While the block runs nobody listens on the API port; afterwards the same data is served again."""
        if self._server is None:
            raise ClusterError("the API server is not running")
        self._server.stop(grace_s=0.0)
        self._server = None
        try:
            yield
        finally:
            self._start_server()

    @contextmanager
    def halted(self) -> Iterator[Path]:
        """While the block runs neither etcd nor the API server does. Its value: etcd's data, to be copied or replaced.

        Afterwards both serve what lies there, as after a restored backup.
        """
        if self._server is None or self._etcd is None:
            raise ClusterError("the API server is not running")
        self._server.stop(grace_s=0.0)
        self._etcd.stop(grace_s=10.0)
        self._server = self._etcd = None
        try:
            yield self._plane.directory / "etcd"
        finally:
            self.start()

    def start(self) -> None:
        """Start etcd and the API server; raises ClusterError when they do not come up."""
        logs = self._plane.directory
        self._etcd = start("etcd", self._plane.etcd(), log=logs / "etcd.log")
        self._start_server()

    def stop(self) -> None:
        """End both programs. Safe to call at any time."""
        for process in (self._server, self._etcd):
            if process is not None:
                process.stop(grace_s=0.0)  # nothing is kept, so nothing needs a clean end
        self._server = self._etcd = None

    def _start_server(self) -> None:
        log = self._plane.directory / "kube-apiserver.log"
        self._server = start("kube-apiserver", self._plane.apiserver(FLAGS), log=log)
        watch = [process for process in (self._etcd, self._server) if process is not None]
        wait_for("API server", self._plane.ready, timeout_s=START_TIMEOUT_S, watch=watch)


@contextmanager
def apiserver(*, audit: bool = False, crds: Sequence[Path] = ()) -> Iterator[ApiServer]:
    """A fresh API server for the length of the block, with `crds` (files or directories) installed.

    The first use builds Kubernetes (minutes, progress on stderr). Raises ClusterError when it does not come
    up, BuildError when it can't be built. Both programs die with the thread that calls this: use the main one.
    """
    binaries = programs.kubernetes()
    parent = cache_root() / "run"
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent)
    directory = Path(tempfile.mkdtemp(prefix="apiserver-", dir=parent))
    server = None
    # The kernel drops the lock when this process dies, which tells the next one that it may sweep.
    owner = (directory / "owner.lock").open("w")
    try:
        fcntl.flock(owner, fcntl.LOCK_EX)
        server = _start_somewhere(binaries, directory, audit)
        server.install_crds(*crds)
        yield server
    finally:
        if server is not None:
            server.stop()
        owner.close()
        shutil.rmtree(directory)


def _sweep(parent: Path) -> None:
    """Remove the directories of API servers whose owner was killed; their processes died with it."""
    for lock in parent.glob("apiserver-*/owner.lock"):
        with lock.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(lock.parent, ignore_errors=True)


def _start_somewhere(binaries: Path, directory: Path, audit: bool) -> ApiServer:
    for attempt in range(PORT_ATTEMPTS):
        api_port, etcd_port, peer_port = free_ports(3)
        address = Address("127.0.0.1", api_port, etcd_port, peer_port)
        home = directory / str(attempt)
        home.mkdir()
        server = ApiServer(make_control_plane(binaries, home, address=address, audit=audit, node=None))
        try:
            server.start()
        except ClusterError as error:
            server.stop()
            # Somebody took the port between our look and the start: look again.
            if "address already in use" not in str(error) or attempt == PORT_ATTEMPTS - 1:
                raise
        except BaseException:
            server.stop()
            raise
        else:
            return server
    raise AssertionError("unreachable: the last attempt returns or raises")
