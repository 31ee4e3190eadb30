"""`python -m e2e.demo [--provider embedded|kind]`."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from e2e.cluster.__main__ import INTERRUPTED
from e2e.cluster.artifacts import BuildError
from e2e.cluster.processes import ClusterError
from e2e.cluster.providers import PROVIDERS
from e2e.demo.play import play


def main() -> int:
    """Run the demo; errors of the machine are one message."""
    parser = argparse.ArgumentParser(prog="python -m e2e.demo", description=__doc__)
    parser.add_argument("--provider", choices=PROVIDERS, help="else $MODELROLLOUT_PROVIDER, else embedded")
    arguments = parser.parse_args()
    try:
        # Where nobody watches (a file, CI), rich would wrap tables at 80 columns.
        console = Console() if sys.stdout.isatty() else Console(width=120)
        return play(console, provider=arguments.provider)
    except (ClusterError, BuildError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `make demo-down` ends what has been started", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
