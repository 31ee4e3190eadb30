"""`modelrollout diff`: two revisions of one rollout side by side."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelrollout.cli import screen
from modelrollout.cli.complaints import Complaint
from modelrollout.cli.exits import USAGE, fail
from modelrollout.cli.fields import Fields
from modelrollout.cli.kubectl import Kubectl
from modelrollout.cli.options import Context, Format, Kubeconfig, Name, Namespace
from modelrollout.cli.reads import read

if TYPE_CHECKING:
    from modelrollout.cli.revisions import Side
    from modelrollout.cli.templates import Model, Template

DEPLOYMENTS, SETS = "deployments.apps", "replicasets.apps"


def diff(
    name: Name,
    revisions: Annotated[
        list[str] | None,
        typer.Argument(metavar="[REVISION [REVISION]]", help="Two to compare, or one to compare the present one with."),
    ] = None,
    namespace: Namespace = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="text, json or yaml.")] = Format.TEXT,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Compare two revisions: model, images, steps, SLIs, course, outcome, numbers.

    A REVISION is as in `history`, or its beginning, or `legacy`. Default: the present one and the one that ended before
    it, or legacy when none did. What is not stored is named. Exit codes: 0, 1 error, 2 usage.
    """
    from modelrollout.cli import diff_report
    from modelrollout.cli.revisions import chosen, side

    if output is Format.NAME:
        fail("-o name: a comparison has none; use text, json or yaml", USAGE)
    asked = revisions or []
    if len(asked) > 2:
        fail(f"{len(asked)} revisions: two can be compared", USAGE)
    kubectl = Kubectl(namespace, context, kubeconfig)
    obj = Fields(read(kubectl, name))
    try:
        pair = chosen(obj, asked)
    except ValueError as problem:
        fail(f"{name}: {problem}")
    if pair[0] == pair[1]:
        fail(f"{name}: {pair[0]} on both sides; name two that differ", USAGE)
    place = obj.part("metadata").text("namespace")
    sides = _with_images(Kubectl(place or namespace, context, kubeconfig), obj, [side(obj, each) for each in pair])
    if output is Format.TEXT:
        page = diff_report.report(obj, *sides)
        screen.put(screen.as_text(page, width=screen.width(), colour=screen.colours(sys.stdout)))
    else:
        screen.put_object(diff_report.as_object(obj, *sides), output)


def _with_images(kubectl: Kubectl, obj: Fields, sides: Sequence[Side]) -> Sequence[Side]:
    """The same with images and digests, as far as the cluster still has the templates and lets us see them."""
    from modelrollout.cli.revisions import Cell
    from modelrollout.cli.templates import templates

    try:
        known = list(templates(_items(kubectl, DEPLOYMENTS), _items(kubectl, SETS)))
        found = [_found(obj, known, each) for each in sides]
        labels = ",".join(sorted({each.pods for each, _ in filter(None, found) if each.pods}))
        pods = list(_items(kubectl, "pods", f"--selector=pod-template-hash in ({labels})")) if labels else []
    except Complaint as problem:
        for each in sides:
            each.cells["images"] = Cell(None, f"Deployments, ReplicaSets or pods can't be listed: {problem}")
        return sides
    for each, match in zip(sides, found, strict=True):
        _add(each, match, pods)
    return sides


def _found(obj: Fields, known: Sequence[Template], side: Side) -> tuple[Template, Model | None] | None:
    from modelrollout.cli.revisions import LEGACY
    from modelrollout.cli.templates import of_deployment, of_revision

    if side.revision == LEGACY:
        there = of_deployment(known, obj.part("spec", "legacy").text("deployment"))
        return None if there is None else (there, None)
    # The last candidate is legacy by now, as a rule.
    named = [obj.part("spec", arm, "model") for arm in ("candidate", "legacy")]
    models = [(model.text("name") or None, model.text("version") or None) for model in named]
    return of_revision(known, side.revision, [*models, (None, None)])


def _add(side: Side, match: tuple[Template, Model | None] | None, pods: Sequence[Mapping[str, Any]]) -> None:
    from modelrollout.cli.revisions import LEGACY, Cell
    from modelrollout.cli.templates import digests

    if match is None:
        why = (
            "there is no such Deployment" if side.revision == LEGACY else "no Deployment or ReplicaSet has its template"
        )
        side.cells["images"] = Cell(None, why)
        return
    template, model = match
    if side.cells["deployment"].text is None:
        side.cells["deployment"] = Cell(template.deployment)
    if model is not None and side.cells["model"].text is None:
        side.cells["model"] = Cell(" ".join(filter(None, model))) if any(model) else Cell(None, "spec named none")
    running = digests(pods, template)
    for name, image in template.images.items():
        side.cells[f"image {name}"] = Cell(image)
        side.cells[f"digest {name}"] = Cell(running.get(name), "no pod of it runs")


def _items(kubectl: Kubectl, *args: str) -> Iterator[Mapping[str, Any]]:
    found = kubectl.read(*args).get("items")
    return (each for each in found if isinstance(each, dict)) if isinstance(found, list) else iter(())
