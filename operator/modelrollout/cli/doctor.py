"""`modelrollout doctor`: what stands in the way of rollouts in this cluster, and what to do about it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from modelrollout import __version__
from modelrollout.cli import screen
from modelrollout.cli.exits import ERROR, OK, USAGE, fail
from modelrollout.cli.options import Context, Format, Kubeconfig, Namespace

if TYPE_CHECKING:
    from modelrollout.cli.asking import Asking
    from modelrollout.cli.complaints import Complaint
    from modelrollout.cli.fields import Fields
    from modelrollout.cli.findings import Finding
    from modelrollout.cli.installed import Installed

OPERATORS = "modelrollout"


def doctor(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this ModelRollout. Default: all.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings and what is not known count as errors.")] = False,
    operator_namespace: Annotated[
        str, typer.Option(help="Where the operator is, if Deployments of all namespaces may not be listed.")
    ] = OPERATORS,
    namespace: Namespace = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="text, json or yaml.")] = Format.TEXT,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Look for what stands in the way of rollouts: CRDs, rights, operator, clocks, routers, Gateways, metrics, Argo CD.

    What may not be read is "not known", never ok. It changes nothing. Exit codes: 0 no error was found, 1 one was (with
    --strict: something is not ok), or the cluster can't be asked, 2 usage.
    """
    from modelrollout.cli import findings
    from modelrollout.cli.asking import Asking
    from modelrollout.cli.kubectl import Kubectl

    if output is Format.NAME:
        fail("-o name: findings have none; use text, json or yaml", USAGE)
    kubectl = Kubectl(namespace, context, kubeconfig)
    asking = Asking(kubectl) if sys.stderr.isatty() else Asking(kubectl, say=lambda _: None)
    found = list(looked(asking, name, namespace, operator_namespace))
    if output is Format.TEXT:
        screen.put(findings.as_text(found, width=screen.width(), colour=screen.colours(sys.stdout)))
    else:
        screen.put_object(findings.as_object(found), output)
    states = {each.state for each in found}
    bad = states - {findings.State.OK} if strict else states & {findings.State.ERROR}
    raise typer.Exit(ERROR if bad else OK)


def looked(
    asking: Asking,
    name: str | None,
    given: str | None,
    fallback: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> Iterator[Finding]:
    """All that is found, in the order in which one stands on the other. `given`: the namespace, as far as it was."""
    from modelrollout.cli import (
        doctor_argo,
        doctor_gateways,
        doctor_operator,
        doctor_rollouts,
        doctor_server,
        doctor_sources,
    )
    from modelrollout.cli.complaints import Cause, Complaint
    from modelrollout.cli.fields import Fields
    from modelrollout.cli.findings import unknown

    clock, ahead = doctor_operator.clock(asking, now=now)
    if ahead is None:
        alive = asking.text("the API server", "get", "--raw", "/version")
        if isinstance(alive, Complaint) and alive.cause is not Cause.FORBIDDEN:
            fail(str(alive))
    yield clock
    yield from doctor_server.crds(asking)
    namespace = given or asking.kubectl.usual() or "default"
    yield from doctor_server.callers(asking, namespace)

    @cache
    def served(api: str, resource: str) -> bool | Complaint:
        answer = asking.raw(f"the kinds of {api}", f"/apis/{api}")
        if isinstance(answer, Complaint):
            return answer
        return any(each.text("name") == resource for each in Fields(answer or {}).items("resources"))

    there = doctor_operator.found(asking, fallback)
    yield from doctor_operator.deployments(there, namespace=namespace, client=__version__)
    yield from _leaders(asking, there, ahead or 0.0, sleep, now)
    routes = served(*doctor_rollouts.ROUTERS["managedRoute"])
    for each in there if not isinstance(there, Complaint) else ():
        if each.serves(namespace):
            user = f"system:serviceaccount:{each.namespace}:{each.account}"
            yield doctor_server.operators_rights(
                asking, user=user, namespace=namespace, own=each.namespace, routes=routes is True
            )
    rollouts = _rollouts(asking, name, given, namespace)
    if isinstance(rollouts, Complaint):
        if name is not None:
            fail(str(rollouts))
        yield unknown("rollouts", f"they can't be read: {rollouts}")
        rollouts = []
    else:
        yield doctor_rollouts.unseen(rollouts)
        yield doctor_rollouts.finalizers(rollouts, now() + (ahead or 0.0))
    yield from doctor_rollouts.routers(rollouts, served)
    if routes is True:
        yield from doctor_gateways.gateways(asking, rollouts)
    stored = asking.items("MetricSources", "metricsources.modelrollout.dev")
    yield from doctor_sources.sources(stored, rollouts, doctor_sources.operators_reads(asking, there))
    yield from doctor_argo.adopted(asking, rollouts, served)
    if name is not None:
        yield from doctor_rollouts.conditions(rollouts[0])


def _leaders(
    asking: Asking,
    there: Sequence[Installed] | Complaint,
    ahead: float,
    sleep: Callable[[float], None],
    now: Callable[[], float],
) -> Iterator[Finding]:
    from modelrollout.cli import doctor_operator
    from modelrollout.cli.complaints import Complaint
    from modelrollout.cli.findings import error, unknown

    known = [] if isinstance(there, Complaint) else [(each.namespace, each.lease) for each in there]
    if not known and (usual := doctor_operator.default_lease(asking)) is not None:
        known = [usual]
    for place in dict.fromkeys(known):
        yield doctor_operator.lease(asking, *place, ahead, sleep=sleep, now=now)
    if not known:
        what = "no operator and no Lease of one is to be seen"
        missing = not isinstance(there, Complaint)
        yield error("leader", what, doctor_operator.DOWN) if missing else unknown("leader", what)


def _rollouts(asking: Asking, name: str | None, given: str | None, namespace: str) -> list[Fields] | Complaint:
    from modelrollout.cli.complaints import Complaint
    from modelrollout.cli.fields import Fields
    from modelrollout.cli.kubectl import ROLLOUTS

    found: object
    if name is not None:
        found = asking.items("the rollout", ROLLOUTS, name)
        return found if isinstance(found, Complaint) else [Fields(each) for each in found]
    api, here = "/apis/modelrollout.dev/v1alpha1", f"namespaces/{namespace}/"
    answer = asking.raw("the rollouts", f"{api}/{here if given else ''}modelrollouts")
    if isinstance(answer, Complaint) and not given:
        answer = asking.raw("the rollouts", f"{api}/{here}modelrollouts")
    return answer if isinstance(answer, Complaint) else Fields(answer or {}).items("items")
