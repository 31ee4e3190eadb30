"""The command line: which commands there are. Nothing is imported before a command needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import typer

from modelrollout.cli.group import Entry, LazyGroup

LOOK, ACT = "See what happens", "Say what shall happen"
BEFORE, AFTER, REST = "Before a rollout", "After a rollout", "The rest"


class Commands(LazyGroup):
    """All commands, by what people want."""

    table: ClassVar[Mapping[str, Entry]] = {
        "list": Entry("modelrollout.cli.reads:list_", LOOK, "List rollouts, a line each."),
        "get": Entry("modelrollout.cli.reads:get", LOOK, "Show a rollout: steps, SLIs with their numbers, budget."),
        "explain": Entry("modelrollout.cli.explain:explain", LOOK, "Say what it waits for and what would revert it."),
        "status": Entry("modelrollout.cli.reads:status", LOOK, "Say in a line how it stands, and in the exit code."),
        "history": Entry("modelrollout.cli.reads:history", LOOK, "Show its decisions and how revisions ended."),
        "diff": Entry("modelrollout.cli.diff:diff", LOOK, "Compare two revisions: model, images, outcome, numbers."),
        "doctor": Entry("modelrollout.cli.doctor:doctor", LOOK, "Look for what stands in the way of rollouts."),
        "wait": Entry("modelrollout.cli.wait:wait", LOOK, "Wait until it is promoted, rolled back, paused, ..."),
        "approve": Entry("modelrollout.cli.verbs:approve", ACT, "Let the step begin that waits for approval."),
        "pause": Entry("modelrollout.cli.verbs:pause", ACT, "Hold the weight where it is."),
        "resume": Entry("modelrollout.cli.verbs:resume", ACT, "Go on after a pause."),
        "promote": Entry("modelrollout.cli.verbs:promote", ACT, "Go to 100 % without further evidence."),
        "abort": Entry("modelrollout.cli.verbs:abort", ACT, "Send all traffic back to legacy."),
        "retry": Entry("modelrollout.cli.verbs:retry", ACT, "Start a rejected revision again."),
        "lint": Entry("modelrollout.cli.lint:lint", BEFORE, "Check manifests as the operator does, offline."),
        "plan": Entry("modelrollout.cli.plan:plan", BEFORE, "Say how long it will take and what it can prove."),
        "simulate": Entry("modelrollout.cli.simulate:simulate", BEFORE, "Play it in a virtual cluster."),
        "assign": Entry(
            "modelrollout.cli.assign:assign", BEFORE, "Say which users see the candidate, and from when on."
        ),
        "profiles": Entry("modelrollout.cli.profiles:app", BEFORE, "List the profiles of SLIs, and which of them fit."),
        "report": Entry("modelrollout.cli.report:report", AFTER, "Make a file of its course, evidence and incident."),
        "record": Entry("modelrollout.cli.record:record", AFTER, "Record the samples of its SLIs from Prometheus."),
        "replay": Entry("modelrollout.cli.replay:replay", AFTER, "Decide again what was decided, or on recorded data."),
        "notify": Entry("modelrollout.cli.notify:app", REST, "Try the targets of notifications."),
        "run": Entry("modelrollout.cli.run:run", REST, "Run the operator."),
        "version": Entry(
            "modelrollout.cli.version:version", REST, "Print the versions of this program and of the cluster."
        ),
    }


# Without markup: Rich's pages of help cost 100 ms and boxes that a narrow terminal breaks.
app = typer.Typer(
    name="modelrollout",
    cls=Commands,
    help="Progressive delivery of ML models on Kubernetes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def root() -> None:
    """Progressive delivery of ML models on Kubernetes."""


def main() -> None:
    """Entry point."""
    app()
