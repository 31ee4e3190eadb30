"""What came of a campaign, as tables and as JSON."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from e2e.chaos.real.campaign import Verdict

ROOT = Path(__file__).parents[3]


@dataclass(slots=True)
class Tally:
    """`asked`: how many plans there were, some of which may not have been begun."""

    parallel: int
    patience: float
    asked: int = 0
    begun: float = field(default_factory=time.monotonic)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def ran(self) -> list[Verdict]:
        """All but the reference runs."""
        return [v for v in self.verdicts if v.plan.faults]

    @property
    def broken(self) -> list[Verdict]:
        """Those with violations."""
        return [v for v in self.verdicts if v.violations]

    def table(self) -> list[str]:
        """By workload and kind of fault: plans and broken ones."""
        ran = Counter((v.plan.workload, v.kind) for v in self.verdicts)
        bad = Counter((v.plan.workload, v.kind) for v in self.broken)
        head = f"{'workload':12} {'fault':60} plans  violated"
        return [head, *(f"{name:12} {kind:60} {ran[name, kind]:5}  {bad[name, kind]:8}" for name, kind in sorted(ran))]

    def total(self) -> str:
        """One line."""
        writes, versions = sum(v.writes for v in self.verdicts), sum(v.versions for v in self.verdicts)
        plans = f"{len(self.ran)} of {self.asked} plans"
        return f"{plans}, {writes} writes, {versions} versions of objects checked, {len(self.broken)} violated"

    def plain(self) -> dict[str, object]:
        """As JSON has it: totals, a row for each workload and family, and every run."""
        rows = []
        for workload, family in sorted({(v.plan.workload, v.asked.family) for v in self.ran}):
            mine = [v for v in self.ran if (v.plan.workload, v.asked.family) == (workload, family)]
            rows.append({"workload": workload, "family": family} | _counted(mine))
        found: dict[str, object] = {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "commit": _commit()}
        found |= {"asked": self.asked, "seconds": round(time.monotonic() - self.begun)} | _counted(self.ran)
        found |= {"parallel": self.parallel, "patience": self.patience, "rows": rows}
        return found | {"runs": [v.plain() for v in self.verdicts]}


def _counted(verdicts: Sequence[Verdict]) -> dict[str, int]:
    return {
        "plans": len(verdicts),
        "writes": sum(v.writes for v in verdicts),
        "checks": sum(v.versions for v in verdicts),
        "violated": sum(bool(v.violations) for v in verdicts),
        "missed": sum(v.missed for v in verdicts),
    }


def _commit() -> str:
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
