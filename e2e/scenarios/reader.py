"""Somebody who types the commands of a page, with the page's own shell functions, and compares what it shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from e2e.stage import ROOT
from tests.layout.documents import SHELL, blocks

FUNCTION = re.compile(r"^\w\(\) \{ .* \}$", re.MULTILINE)
LIMIT = 180.0
"""Seconds within which a command must end that does not wait for anything."""


class Reader:
    """Types in the checkout. `named`: the cluster's name on the page, in place of which `cluster` is used."""

    def __init__(self, page: Path, cluster: str, *, named: str) -> None:
        found = FUNCTION.findall(page.read_text())
        assert found, f"{page} has no shell function"
        assert all(f"--name {named} " in each for each in found)
        self._functions = "\n".join(each.replace(f"--name {named} ", f"--name {cluster} ") for each in found)

    def types(self, command: str, *, seconds: float = LIMIT) -> str:
        """What the command prints; it must end with code 0 and without a word on stderr."""
        argv = self._argv(command)
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
        assert (done.returncode, done.stderr) == (0, ""), f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def watches(self, command: str, *lines: str) -> list[str]:
        """What a command that never ends prints until these patterns were seen in this order; then comes Ctrl-C."""
        wanted, seen = list(lines), []
        with subprocess.Popen(
            self._argv(command),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as started:
            assert started.stdout is not None
            assert started.stderr is not None
            try:
                while wanted:
                    seen.append(started.stdout.readline())
                    assert seen[-1], f"{command} ended without {wanted[0]}: {seen}"
                    if re.search(wanted[0], seen[-1]):
                        wanted.pop(0)
            finally:
                os.killpg(started.pid, signal.SIGINT)
            complaint = started.stderr.read()
        assert complaint == "", "Ctrl-C is no error"
        return seen

    def reads(self, commands: list[str], shown: str, *, seconds: float) -> str:
        """Types these, and the last one again until they have printed what the page shows, or time is up."""
        before = [self.types(each, seconds=seconds) for each in commands[:-1]]
        end = time.monotonic() + seconds
        while True:
            printed = "".join([*before, self.types(commands[-1], seconds=seconds)])
            if shown_by(shown, printed):
                return printed
            assert time.monotonic() < end, f"{commands}\nprinted\n{printed}\nand the page shows\n{shown}"
            time.sleep(1)

    def _argv(self, command: str) -> list[str]:
        return ["bash", "-c", f"{self._functions}\n{command}"]


def sections(page: Path) -> Iterator[tuple[list[str], str]]:
    """The page's commands, block by block, each with the output that the page shows right after it; empty without."""
    found = blocks(page)
    for index, block in enumerate(found):
        if block.language in SHELL:
            after = found[index + 1] if index + 1 < len(found) else None
            commands = [line for line in block.text.splitlines() if line and not FUNCTION.match(line)]
            yield commands, after.text if after is not None and after.language == "text" else ""


def shown_by(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed: other line breaks, other numbers beside `%`, anything for `...`."""
    lines = []
    for line in filter(str.strip, shown.splitlines()):
        text = re.escape(" ".join(line.split()))
        if "%" in line:
            text = re.sub(r"\d[\d,]*(?:\\\.\d+)?", r"[\\d.,]+", text)
        lines.append(text.replace(r"\.\.\.\ ", "(?:.* )?").replace(r"\.\.\.", ".*"))
    return re.fullmatch(r"\ ".join(lines), " ".join(printed.split())) is not None
