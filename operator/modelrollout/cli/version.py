"""`modelrollout version`: of this program, of the operators and of the CRDs, and whether they fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelrollout import __version__
from modelrollout.cli import screen
from modelrollout.cli.exits import USAGE, fail
from modelrollout.cli.options import Context, Format, Kubeconfig

if TYPE_CHECKING:
    from modelrollout.cli.complaints import Complaint
    from modelrollout.cli.installed import Installed

LIMIT = 5
"""Seconds for each question: a version is asked for where something does not work."""


def version(
    client: Annotated[bool, typer.Option("--client", help="Only this program's; asks no cluster.")] = False,
    operator_namespace: Annotated[
        str, typer.Option(help="Where the operator is, if Deployments of all namespaces may not be listed.")
    ] = "modelrollout",
    output: Annotated[Format, typer.Option("--output", "-o", help="text, json or yaml.")] = Format.TEXT,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print the versions of this program, of the operators and of the CRDs, and say where they do not fit.

    What can't be read is a dash with the reason. Exit codes: 0 also when versions do not fit, 2 usage.
    """
    if output is Format.NAME:
        fail("-o name: a version has none; use text, json or yaml", USAGE)
    if client:
        if output is Format.TEXT:
            screen.put(f"{__version__}\n")
        else:
            screen.put_object({"client": __version__}, output)
        return
    from modelrollout.cli.asking import Asking
    from modelrollout.cli.doctor_operator import found
    from modelrollout.cli.kubectl import Kubectl

    asking = Asking(Kubectl(None, context, kubeconfig, request=LIMIT), say=lambda _: None)
    there = found(asking, operator_namespace)
    crds = _crds(asking)
    if output is not Format.TEXT:
        screen.put_object(as_object(there, crds), output)
        return
    screen.put("".join(f"{line}\n" for line in lines(there, crds)))
    for problem in problems(there, crds):
        screen.note(f"warning: {problem}")


def _crds(asking: Any) -> dict[str, str] | Complaint:
    """Version label of each of our CRDs that is there, by plural; empty without a label."""
    from modelrollout.cli.complaints import Complaint
    from modelrollout.cli.doctor_server import CRDS, GROUP, RESOURCES
    from modelrollout.cli.fields import Fields
    from modelrollout.cli.installed import VERSION

    answer = asking.items("the CRDs", CRDS, *(f"{each}.{GROUP}" for each in RESOURCES), "--ignore-not-found")
    if isinstance(answer, Complaint):
        return answer
    stored = [Fields(each) for each in answer]
    return {each.part("spec", "names").text("plural"): each.part("metadata", "labels").text(VERSION) for each in stored}


def lines(there: Sequence[Installed] | Complaint, crds: dict[str, str] | Complaint) -> list[str]:
    """A line each."""
    told = [f"client    {__version__}"]
    if isinstance(there, list) and there:
        told += [f"operator  {each.version or '-'} ({each.place}, image {each.image})" for each in there]
    else:
        told.append(f"operator  - ({there if not isinstance(there, list) else 'no Deployment of the chart'})")
    if isinstance(crds, dict) and crds:
        named = sorted(set(crds.values()) - {""})
        told.append(f"CRDs      {', '.join(named) or '- (without a version label)'} ({', '.join(sorted(crds))})")
    else:
        told.append(f"CRDs      - ({crds if not isinstance(crds, dict) else 'not installed'})")
    return told


def problems(there: Sequence[Installed] | Complaint, crds: dict[str, str] | Complaint) -> list[str]:
    """Where versions do not fit."""
    from modelrollout.cli.installed import agrees

    found = []
    for each in there if isinstance(there, list) else ():
        if each.version and not agrees(__version__, each.version):
            found.append(
                f"operator {each.place} is {each.version}, this client {__version__}: install the same version of both"
            )
    labels = set(crds.values()) - {""} if isinstance(crds, dict) else set()
    found += [
        f"the CRDs are {each}, this client {__version__}: apply the CRDs of the operator's version"
        for each in sorted(labels)
        if not agrees(__version__, each)
    ]
    return found


def as_object(there: Sequence[Installed] | Complaint, crds: dict[str, str] | Complaint) -> dict[str, Any]:
    """The same for programs; null with a reason where something is not known."""
    known = there if isinstance(there, list) else None
    return {
        "client": __version__,
        "operators": None
        if known is None
        else [
            {"namespace": e.namespace, "name": e.name, "version": e.version or None, "image": e.image} for e in known
        ],
        "crds": {plural: label or None for plural, label in crds.items()} if isinstance(crds, dict) else None,
        "notKnown": [str(each) for each in (there, crds) if not isinstance(each, (list, dict))],
        "problems": problems(there, crds),
    }
