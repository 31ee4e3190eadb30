"""Inside new namespaces: makes the private file system view and network that a cluster lives in.

Runs as PID 1 of `unshare --mount --net --pid --ipc --uts --fork`; everything it makes vanishes with that process.
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from e2e.cluster.control_plane import SERVICE_RANGE
from e2e.cluster.processes import ClusterError

NODE_IP = "10.88.0.2"
ROUTER_IP = "10.88.0.1"  # nobody has this address: what has no better route goes nowhere
# Directories that programs write to beside the paths they are told: their writes stay in memory, private.
PRIVATE = ("/usr", "/etc", "/var/lib", "/var/log")
# Machine-wide settings that kubelet would change, with the values it wants to see.
SHIELDED = {
    "/proc/sys/vm/overcommit_memory": "1",
    "/proc/sys/kernel/panic": "10",
    "/proc/sys/kernel/panic_on_oops": "1",
}
IPTABLES = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")

# What would leave the node goes nowhere: refuse it at once. Otherwise a connection to a Service that kube-proxy
# does not know yet hangs for seconds, and on its remembered path it keeps missing the Service afterwards.
DEAD_ENDS = (
    ("OUTPUT", "--destination", SERVICE_RANGE, "--jump", "REJECT"),
    ("OUTPUT", "!", "--destination", "10.0.0.0/8", "--out-interface", "node0", "--jump", "REJECT"),
    ("FORWARD", "--out-interface", "node0", "--jump", "REJECT"),
)


def enter_sandbox(*, node_tree: Path | None, hostname: str) -> None:
    """Shape the namespaces this process is in. Raises ClusterError with the command that failed.

    With `node_tree` its programs appear in `/usr` over the machine's own.
    """
    _run("mount", "--make-rprivate", "/")
    _run("mount", "-t", "proc", "proc", "/proc")
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for directory in ("/run/netns", "/run/lock", "/run/private"):
        Path(directory).mkdir(exist_ok=True)
    for target in PRIVATE:
        if Path(target).is_dir():
            lower = node_tree / target.lstrip("/") if node_tree and target == "/usr" else None
            _overlay(Path(target), lower)
    if node_tree is not None:
        for name in IPTABLES:
            link = Path("/usr/sbin") / name
            link.unlink(missing_ok=True)
            link.symlink_to("xtables-nft-multi")
    _name_resolution(hostname)
    _shield()
    _network()
    if node_tree is not None:
        for rule in DEAD_ENDS:
            _run("iptables", "--append", *rule)
    socket.sethostname(hostname)


def _overlay(target: Path, extra: Path | None) -> None:
    upper, work = (Path("/run/private") / f"{target.as_posix().replace('/', '_')}.{kind}" for kind in ("up", "work"))
    upper.mkdir()
    work.mkdir()
    lower = f"{extra}:{target}" if extra else str(target)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    _run("mount", "-t", "overlay", "-o", options, "overlay", str(target))


def _name_resolution(hostname: str) -> None:
    files = {
        "hosts": f"127.0.0.1 localhost\n{NODE_IP} {hostname}\n",
        # Without a cluster DNS nobody listens there and lookups fail at once instead of after seconds.
        "resolv.conf": f"nameserver {NODE_IP}\nsearch cluster.local\noptions ndots:2 timeout:2\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    for name, content in files.items():
        path = Path("/etc") / name
        path.unlink(missing_ok=True)
        path.write_text(content)


def _shield() -> None:
    for setting, value in SHIELDED.items():
        cover = Path("/run/private") / setting.replace("/", "_")
        cover.write_text(value + "\n")
        _run("mount", "--bind", str(cover), setting)


def _network() -> None:
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "node0", "type", "veth", "peer", "name", "node0-far")
    _run("ip", "address", "add", f"{NODE_IP}/24", "dev", "node0")
    _run("ip", "link", "set", "node0-far", "up")
    _run("ip", "link", "set", "node0", "up")
    _run("ip", "route", "add", "default", "via", ROUTER_IP)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"`{' '.join(argv)}` failed: {done.stderr.strip()}")
