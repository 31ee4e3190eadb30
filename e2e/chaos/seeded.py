"""Known kinds of bugs, put into a copy of the operator one by one: does the suite find them?

Each is a change of a few words that somebody could make by mistake. A pattern that no longer fits the code is an error,
not a success.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "operator" / "modelrollout"


@dataclass(frozen=True, slots=True)
class Seeded:
    """`old` becomes `new` in `file`, at its only occurrence; and so for `more`, where two guards hold one promise."""

    name: str
    file: str
    old: str
    new: str
    more: tuple[tuple[str, str, str], ...] = ()

    @property
    def edits(self) -> tuple[tuple[str, str, str], ...]:
        """Each file, what is there, and what it becomes."""
        return ((self.file, self.old, self.new), *self.more)


class DoesNotFit(ValueError):
    """The code has changed: the pattern must follow it."""


def applied(seeded: Seeded, package: Path) -> dict[str, str]:
    """The files' texts with the bug in them. Raises DoesNotFit."""
    found: dict[str, str] = {}
    for file, old, new in seeded.edits:
        text = found.get(file) or (package / file).read_text()
        if text.count(old) != 1:
            raise DoesNotFit(f"{seeded.name}: {file} has {text.count(old)} places for it, not 1")
        found[file] = text.replace(old, new)
    return found


SEEDED = (
    Seeded(
        "the route is written whatever its version",
        "adapters/kube/pinned.py",
        '[{"op": "test", "path": "/metadata/resourceVersion", "value": view.resource_version}]',
        "[]",
    ),
    Seeded(
        "the status is written whatever its version",
        "adapters/kube/rollouts.py",
        'patch: Body = {"metadata": {"resourceVersion": obj.resource_version}, "status": encode(status)}',
        'patch: Body = {"status": encode(status)}',
    ),
    Seeded(
        "a raise writes the route first",
        "runtime/commit.py",
        "        await self.status(announce=False)\n        stored = self.obj.status\n",
        "        await self.commit.routing.set_weight("
        "self.needed(), self.route, intent.weight, segments=intent.segments)\n"
        "        await self.status(announce=False)\n        return\n        stored = self.obj.status\n",
    ),
    Seeded(
        "a lowering writes the status first",
        "runtime/commit.py",
        "                await self.lower(intent)\n",
        "                await self.status()\n                await self.lower(intent)\n",
    ),
    Seeded(
        "no data is a pass",
        "stats/judge.py",
        "verdict = Verdict.INVALID if gap.mismatch else Verdict.NO_DATA",
        "verdict = Verdict.INVALID if gap.mismatch else Verdict.PASS",
    ),
    Seeded(
        "the finalizer comes late",
        "core/lifecycle.py",
        "return None if s.obs.finalizer else Draft(s.status, AddFinalizer())",
        "return None if s.obs.finalizer or not s.exposed else Draft(s.status, AddFinalizer())",
    ),
    Seeded(
        "rejected revisions are forgotten",
        "core/status.py",
        "return any(r.revision == revision for r in self.rejected)",
        "return False",
    ),
    Seeded(
        "a deposed leader writes on",
        "runtime/fence.py",
        '    if epoch is None:\n        raise Deposed("the lease is not ours", subject=str(obj.key))\n',
        "    if epoch is None:\n        return Epoch(obj.status.leader_epoch if obj.status else 0)\n",
    ),
    Seeded(
        "a revert waits for a pause",
        "core/decide.py",
        "    finalizer,\n    _finish_rollback,\n    _abort,\n    rollback_trigger,\n",
        "    finalizer,\n    people,\n    _finish_rollback,\n    _abort,\n    rollback_trigger,\n",
    ),
    Seeded("reverts are tried again at leisure", "runtime/backoff.py", "URGENT_CAP = 1.0", "URGENT_CAP = 30.0"),
    Seeded(
        "old news of the watch are believed",
        "runtime/store.py",
        "if kept is not None and known is not None and (older(obj, known) or same(kept, obj)):",
        "if kept is not None and same(kept, obj):",
    ),
    Seeded(
        "nothing is in doubt after a conflict",
        "runtime/store.py",
        "        self._doubts[key] = self._raised\n",
        "        pass\n",
    ),
    Seeded(
        "everything is worth a write", "core/status.py", "return old is None or _face(old) != _face(new)", "return True"
    ),
    Seeded(
        "a deletion lets go at once",
        "core/lifecycle.py",
        "if s.status.phase is Phase.PROMOTED or not (s.exposed or lost):",
        "if s.status.phase is Phase.PROMOTED or not (s.exposed or lost) or s.legacy_serves:",
    ),
    Seeded(
        "the last look before letting go is left out",
        "runtime/commit.py",
        "if isinstance(fresh, RouteSeen) and isinstance(self.route, RouteSeen) and fresh.weight > self.route.weight:",
        "if False:",
    ),
    Seeded(
        "ghosts stay after a full list",
        "runtime/store.py",
        "        for key in ghosts:\n            self.forget(key)\n",
        "",
    ),
    Seeded(
        "a candidate without endpoints keeps its users",
        "core/waiting.py",
        "    if not s.under_way or s.status.step is None:\n        return None\n    name, since",
        "    if not s.under_way or s.status.step is None or s.exposed:\n        return None\n    name, since",
    ),
    Seeded(
        "a Prometheus that is away is a reason to go back",
        "core/triggers.py",
        "    found = _from_evidence(s) or _from_candidate(s) or _from_holds(s)\n",
        "    found = _from_evidence(s) or _from_candidate(s) or _from_holds(s)\n"
        "    if s.status.holds.unreachable:\n        found = Trigger(Reason.NO_DATA, 'no answer')\n",
    ),
    Seeded(
        "an action is carried out again after a crash",
        "core/actions.py",
        "        if request.uid in s.status.handled:\n",
        "        if False:\n",
    ),
    Seeded(
        "somebody's weight stays",
        "core/route_policy.py",
        "    if route.weight == wanted and full_segments:\n        return None\n",
        "    return None\n",
    ),
    Seeded(
        "a leader trusts its Lease for too long",
        "runtime/leader.py",
        "RENEW_DEADLINE = 10.0",
        "RENEW_DEADLINE = 60.0",
    ),
    Seeded(
        "a new leader trusts what it has seen",
        "runtime/engine.py",
        "            self._p.store.doubt(key)\n        listing = ",
        "            pass\n        listing = 0.0 and ",
        (("shell/app.py", "        if leading:\n            self._relist.set()\n", ""),),
    ),
    Seeded(
        "the number that shrinks goes first",
        "adapters/kube/replicas.py",
        "key=lambda change: change[2] < change[1].wanted",
        "key=lambda change: change[2] > change[1].wanted",
    ),
    Seeded(
        "pods go before legacy's are there",
        "core/pods.py",
        "needed = max(0, least_ready(pods.total) - pods.legacy_ready) if pods.candidate_ready else 0",
        "needed = 0",
    ),
    Seeded(
        "pods come before legacy has its part",
        "core/pods.py",
        "target if pods.legacy_ready >= rest else pods.candidate",
        "target",
    ),
    Seeded(
        "what a read said is gone comes back",
        "adapters/kube/cache.py",
        "            self._gone[kind, (namespace, name)] = old.version\n",
        "            pass\n",
    ),
    Seeded(
        "a failed SLI may pass again in its step",
        "runtime/alarm.py",
        "    if not failed:\n        return now\n",
        "    if failed or not failed:\n        return now\n",
    ),
)
