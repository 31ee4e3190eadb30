"""The command line: which commands there are. Nothing is imported before a command needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import typer

from modelrollout.cli.group import Entry, LazyGroup

BEFORE, AFTER, REST = "Before a rollout", "After a rollout", "The rest"


class Commands(LazyGroup):
    """All commands, by what people want."""

    table: ClassVar[Mapping[str, Entry]] = {
        "plan": Entry("modelrollout.cli.plan:plan", BEFORE, "Say how long it will take and what it can prove."),
        "simulate": Entry("modelrollout.cli.simulate:simulate", BEFORE, "Play it in a virtual cluster."),
        "profiles": Entry("modelrollout.cli.profiles:app", BEFORE, "List the profiles of SLIs, and which of them fit."),
        "record": Entry("modelrollout.cli.record:record", AFTER, "Record the samples of its SLIs from Prometheus."),
        "replay": Entry("modelrollout.cli.replay:replay", AFTER, "Decide again what was decided, or on recorded data."),
        "run": Entry("modelrollout.cli.run:run", REST, "Run the operator."),
        "version": Entry("modelrollout.cli.version:version", REST, "Print the version."),
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
