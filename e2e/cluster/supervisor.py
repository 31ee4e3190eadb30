"""PID 1 of a cluster: starts its components in order, restarts those that end, reaps orphans.

Run as `python -m e2e.cluster.supervisor PLAN`. What happens is told in `events.jsonl` and `state.json` of the run
directory. A file `hold/NAME` there keeps component NAME down. When it ends, the kernel ends everything inside.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from e2e.cluster.certificates import KeyPair
from e2e.cluster.plan import Component, Plan, Probe, read_plan
from e2e.cluster.processes import ClusterError, fetch, tail
from e2e.cluster.sandbox import enter_sandbox

LOOP_S = 0.03
RESTART_PAUSE_S = 1.0


class Supervisor:
    """Runs one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._run_dir = Path(plan.run_dir)
        self._started = time.monotonic()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._since: dict[str, float] = {}
        self._ready: set[str] = set()
        self._restarts: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._told = ""

    def event(self, kind: str, **details: str) -> None:
        """Append to the story that `up` follows."""
        at = round(time.monotonic() - self._started, 2)
        with (self._run_dir / "events.jsonl").open("a") as handle:
            handle.write(json.dumps({"at": at, "event": kind, **details}) + "\n")

    def run(self) -> None:
        """Start everything, then supervise for ever. Raises ClusterError when the start fails."""
        announced = False
        while True:
            self._reap()
            for component in self._plan.components:
                self._step(component, starting=not announced)
            self._tell()
            if not announced and len(self._ready) == len(self._plan.components):
                announced = True
                self.event("up")
            time.sleep(LOOP_S)

    def _step(self, component: Component, *, starting: bool) -> None:
        name = component.name
        child = self._children.get(name)
        held = (self._run_dir / "hold" / name).exists()
        if child is None:
            due = time.monotonic() >= self._not_before.get(name, 0.0)
            if not held and due and self._ready.issuperset(component.after):
                self._launch(component)
        elif child.returncode is not None:
            if component.once and child.returncode == 0:
                self._announce(component)
            elif starting or component.once:
                raise ClusterError(f"{name} ended with code {child.returncode}; its log ends:\n{tail(self._log(name))}")
            else:
                self._forget(name)
                if not held:
                    self._restarts[name] = self._restarts.get(name, 0) + 1
                    self._not_before[name] = time.monotonic() + RESTART_PAUSE_S
                    self.event("ended", component=name, code=str(child.returncode))
        elif held:
            child.send_signal(signal.SIGKILL)
        elif name not in self._ready:
            if passes(component.probe):
                self._announce(component)
            elif starting and time.monotonic() - self._since[name] > component.timeout_s:
                raise ClusterError(
                    f"{name} is not ready after {component.timeout_s:.0f} s; its log ends:\n{tail(self._log(name))}"
                )

    def _launch(self, component: Component) -> None:
        inherited = (self._plan.host_network_fd,) if self._plan.host_network_fd >= 0 else ()
        with self._log(component.name).open("ab") as output:
            self._children[component.name] = subprocess.Popen(
                component.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._plan.env, "PATH": self._plan.path},
                start_new_session=True,
                pass_fds=inherited,
            )
        self._since[component.name] = time.monotonic()

    def _announce(self, component: Component) -> None:
        if component.name not in self._ready:
            self._ready.add(component.name)
            self.event("ready", component=component.name)

    def _forget(self, name: str) -> None:
        del self._children[name]
        self._ready.discard(name)

    def _log(self, name: str) -> Path:
        return self._run_dir / "logs" / f"{name}.log"

    def _reap(self) -> None:
        """Collect every dead child: ours by name, and containers' orphans, which are nobody's but ours as PID 1."""
        by_pid = {child.pid: child for child in self._children.values() if child.returncode is None}
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid in by_pid:
                    by_pid[pid].returncode = os.waitstatus_to_exitcode(status)

    def _tell(self) -> None:
        state: dict[str, Any] = {}
        for component in self._plan.components:
            name = component.name
            child = self._children.get(name)
            ready = name in self._ready
            running = child is not None and child.returncode is None
            state[name] = {
                "pid": child.pid if child is not None and running else None,
                "state": ("done" if component.once else "ready") if ready else ("starting" if running else "down"),
                "restarts": self._restarts.get(name, 0),
            }
        text = json.dumps(state, indent=1)
        if text != self._told:
            self._told = text
            draft = self._run_dir / "state.json.new"
            draft.write_text(text)
            draft.replace(self._run_dir / "state.json")


def passes(probe: Probe) -> bool:
    """Whether the probe holds now. (`exit` is seen by the supervisor itself.)"""
    if probe.kind == "started":
        return True
    if probe.kind == "path":
        return Path(probe.target).exists()
    if probe.kind == "exit":
        return False
    client = KeyPair(Path(probe.cert), Path(probe.key)) if probe.cert else None
    body = fetch(probe.target, ca=Path(probe.ca) if probe.ca else None, client=client)
    if probe.kind == "url" or body is None:
        return body is not None
    conditions = json.loads(body).get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _die_with_owner(owner_fd: int) -> None:
    """End (and with us the whole cluster) when the process at the other end of the pipe is gone."""

    def watch() -> None:
        while os.read(owner_fd, 1):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Entry point; exits with 1 after telling why when the cluster does not come up."""
    plan = read_plan(Path(sys.argv[1]))
    supervisor = Supervisor(plan)
    if plan.owner_fd >= 0:
        _die_with_owner(plan.owner_fd)
    try:
        enter_sandbox(node_tree=Path(plan.node_tree) if plan.node_tree else None, hostname=plan.hostname)
        os.environ["PATH"] = plan.path
        supervisor.event("sandbox")
        supervisor.run()
    except ClusterError as error:
        supervisor.event("failed", message=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
