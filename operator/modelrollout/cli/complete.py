"""`kubectl_complete-modelrollout`: what a command line may go on with, as kubectl and the shells ask for it.

kubectl calls it with the words of the line, the last one as far as it is typed. It reads a line per proposal (text,
tab, description) and a last line: a colon and what else the shell may do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import zip_longest
from typing import Any

FILES, NO_FILES = 0, 4
"""What the shell does without a proposal: names of files, nothing."""
REQUEST = 2
"""Seconds that the cluster has for names: who presses a key does not wait longer."""
NAMED = frozenset({"get", "explain", "status", "history", "diff", "doctor", "wait", "report"}) | {
    *("approve", "pause", "resume", "promote", "abort", "retry"),
}
"""Commands whose first argument is a rollout."""
PLACE = {"-n": "namespace", "--namespace": "namespace", "--context": "context", "--kubeconfig": "kubeconfig"}


def main() -> None:
    """Entry point."""
    *before, begun = sys.argv[1:] or [""]
    found, directive = proposals(before, begun)
    sys.stdout.write("".join(f"{each}\n" for each in [*found, f":{directive}"]))


def proposals(before: Sequence[str], begun: str) -> tuple[list[str], int]:
    """Lines that begin with what is typed, and what else the shell may do. Never raises."""
    from modelrollout.cli.main import Commands

    if not before:
        return [f"{name}\t{each.help}" for name, each in Commands.table.items() if name.startswith(begun)], NO_FILES
    name, words = before[0], before[1:]
    if name not in Commands.table:
        return [], NO_FILES
    params = _options(name)
    asked = next((param for param in params if words and words[-1] in param.opts), None)
    if asked is not None and not asked.is_flag:
        if words[-1] == "--kubeconfig":
            return [], FILES
        choices = list(_choices(asked))
        return [each for each in choices if each.startswith(begun)], NO_FILES if choices or PLACE.get(
            words[-1]
        ) else FILES
    if begun.startswith("-"):
        flags = [(opt, param.help or "") for param in params for opt in param.opts if opt.startswith("--")]
        return [f"{flag}\t{help}" for flag, help in flags if flag.startswith(begun)], NO_FILES
    if name not in NAMED:
        return [], FILES
    if _arguments(words, params):
        return [], NO_FILES
    return [each for each in _rollouts(words) if each.startswith(begun)], NO_FILES


def _options(name: str) -> list[Any]:
    from modelrollout.cli.group import load
    from modelrollout.cli.main import Commands

    command: Any = load(name, Commands.table[name])
    return [param for param in command.params if param.param_type_name == "option"]


def _choices(param: Any) -> Iterator[str]:
    kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        yield from kind
    elif "--output" in param.opts:
        yield from ("text", "json", "yaml", "name", "jsonpath=")


def _arguments(words: Sequence[str], params: Sequence[Any]) -> list[str]:
    """The words that are neither flags nor their values."""
    valued = {opt for param in params if not param.is_flag for opt in param.opts}
    found, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in valued
        else:
            found.append(word)
    return found


def _rollouts(words: Sequence[str]) -> list[str]:
    """Names of the rollouts where the line looks; none where that takes too long or is refused."""
    from modelrollout.cli.complaints import Complaint
    from modelrollout.cli.kubectl import ROLLOUTS, Kubectl

    place: dict[str, str] = {}
    for flag, value in zip_longest(words, words[1:], fillvalue=""):
        name, equals, inline = flag.partition("=")
        if name in PLACE:
            place[PLACE[name]] = inline if equals else value
    kubectl = Kubectl(place.get("namespace"), place.get("context"), place.get("kubeconfig"), request=REQUEST)
    try:
        # As a table: for names alone kubectl would read a thousand whole objects.
        listed = kubectl.call("get", ROLLOUTS, "--no-headers=true", limit=REQUEST + 1.0)
    except Complaint:
        return []
    return [line.partition(" ")[0] for line in listed.splitlines()]
