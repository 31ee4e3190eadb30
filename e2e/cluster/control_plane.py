"""Certificates, kubeconfigs and command lines of etcd and the Kubernetes control plane."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.certificates import Authority, KeyPair, Subject, service_account_keys
from e2e.cluster.processes import answers

SERVICE_RANGE = "10.96.0.0/16"  # a thousand rollouts have thousands of Services
API_SERVICE_IP = "10.96.0.1"
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the control plane listens."""

    host: str
    api_port: int
    etcd_port: int
    etcd_peer_port: int

    @property
    def url(self) -> str:
        """Base URL of the API server."""
        return f"https://{self.host}:{self.api_port}"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Files and command lines of one control plane; `make` writes the files."""

    programs: Path
    directory: Path
    address: Address
    audit: bool
    pki: dict[str, KeyPair]

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.kubeconfig_of("admin")

    @property
    def audit_log(self) -> Path:
        """File of audit events, one JSON object a line."""
        return self.directory / "audit.jsonl"

    def kubeconfig_of(self, user: str) -> Path:
        """Kubeconfig of `admin`, `controller-manager`, `scheduler`, `proxy` or `kubelet`."""
        return self.directory / f"{user}.kubeconfig"

    def ready(self) -> bool:
        """Whether the API server says that it is ready and its default namespace exists."""
        ca, admin = self.pki["ca"].cert, self.pki["admin"]
        paths = ("/readyz", "/api/v1/namespaces/default")
        return all(answers(self.address.url + path, ca=ca, client=admin) for path in paths)

    def etcd(self) -> list[str]:
        """Command line of etcd: loopback, data not synced to disk (nothing must outlive a power cut)."""
        client = f"http://127.0.0.1:{self.address.etcd_port}"
        peer = f"http://127.0.0.1:{self.address.etcd_peer_port}"
        return [
            str(self.programs / "etcd"),
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def apiserver(self, extra: Sequence[str] = ()) -> list[str]:
        """Command line of the API server."""
        pki = self.pki
        argv = [
            str(self.programs / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self.address.etcd_port}",
            f"--secure-port={self.address.api_port}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            f"--client-ca-file={pki['ca'].cert}",
            f"--tls-cert-file={pki['apiserver'].cert}",
            f"--tls-private-key-file={pki['apiserver'].key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki['service-account'].cert}",
            f"--service-account-signing-key-file={pki['service-account'].key}",
            "--allow-privileged=true",
            "--profiling=false",
            "--v=1",
        ]
        if self.audit:
            argv += [
                f"--audit-policy-file={self.directory / 'audit-policy.json'}",
                f"--audit-log-path={self.audit_log}",
                # Written before the answer is sent, so that a test that got its answer finds the event.
                "--audit-log-mode=blocking",
                # A demo may run for days.
                "--audit-log-maxsize=500",
                "--audit-log-maxbackup=1",
            ]
        return [*argv, *extra]

    def node_flags(self) -> list[str]:
        """What the API server needs besides when there are kubelets and aggregated servers."""
        pki = self.pki
        return [
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--advertise-address={self.address.host}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-client-certificate={pki['kubelet-client'].cert}",
            f"--kubelet-client-key={pki['kubelet-client'].key}",
            f"--kubelet-certificate-authority={pki['ca'].cert}",
            f"--requestheader-client-ca-file={pki['ca'].cert}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki['front-proxy'].cert}",
            f"--proxy-client-key-file={pki['front-proxy'].key}",
        ]

    def controller_manager(self) -> list[str]:
        """Command line of the controller manager, without the client throttling that makes it slow."""
        return [
            str(self.programs / "kube-controller-manager"),
            *self._controller_flags("controller-manager"),
            "--allocate-node-cidrs=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self.pki['service-account'].key}",
            f"--root-ca-file={self.pki['ca'].cert}",
            f"--cluster-signing-cert-file={self.pki['ca'].cert}",
            f"--cluster-signing-key-file={self.pki['ca'].key}",
        ]

    def scheduler(self) -> list[str]:
        """Command line of the scheduler."""
        return [str(self.programs / "kube-scheduler"), *self._controller_flags("scheduler")]

    def _controller_flags(self, user: str) -> list[str]:
        kubeconfig = self.kubeconfig_of(user)
        return [
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            "--profiling=false",
        ]


def make_control_plane(
    programs: Path, directory: Path, *, address: Address, audit: bool, node: str | None
) -> ControlPlane:
    """Write certificates, kubeconfigs and policies of a new control plane into `directory`.

    With `node`, also what a node of that name and its kubelet and kube-proxy need.
    """
    authority = Authority(directory / "pki")
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    hosts = ("127.0.0.1", address.host, API_SERVICE_IP, "localhost", *service, f"{service[-1]}.cluster.local")
    users = {"admin": Subject("admin", ("system:masters",))}
    pki = {"ca": authority.files, "service-account": service_account_keys(authority.directory)}
    pki["apiserver"] = authority.issue("apiserver", Subject("kube-apiserver", hosts=hosts))
    if node is not None:
        users |= {
            "controller-manager": Subject("system:kube-controller-manager"),
            "scheduler": Subject("system:kube-scheduler"),
            "proxy": Subject("system:kube-proxy"),
            "kubelet": Subject(f"system:node:{node}", ("system:nodes",)),
        }
        others = {
            "kubelet-client": Subject("kube-apiserver-kubelet-client", ("system:masters",)),
            "front-proxy": Subject("front-proxy"),
            "kubelet-serving": Subject(f"system:node:{node}", ("system:nodes",), (node, address.host)),
        }
        pki |= {name: authority.issue(name, subject) for name, subject in others.items()}
    plane = ControlPlane(programs, directory, address, audit, pki)
    for name, subject in users.items():
        pki[name] = authority.issue(name, subject)
        write_kubeconfig(plane.kubeconfig_of(name), address.url, ca=pki["ca"].cert, client=pki[name])
    (directory / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
    return plane


def write_kubeconfig(path: Path, url: str, *, ca: Path, client: KeyPair) -> None:
    """A kubeconfig (JSON is YAML) whose certificates are files next to it."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": "e2e", "user": {"client-certificate": str(client.cert), "client-key": str(client.key)}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
        "current-context": "e2e",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))


def plain_kubeconfig(path: Path, url: str) -> Path:
    """A kubeconfig without credentials for a server on plain HTTP."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "plain", "cluster": {"server": url}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "plain", "context": {"cluster": "plain", "user": "nobody"}}],
        "current-context": "plain",
    }
    path.write_text(json.dumps(config))
    return path


def read_audit(log: Path) -> list[dict[str, object]]:
    """The audit events so far, oldest first; a line that is being written is left out."""
    if not log.is_file():
        return []
    complete = log.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in complete.splitlines()]
