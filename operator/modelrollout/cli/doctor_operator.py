"""`modelrollout doctor`: is an operator there, does it serve the namespace, does one lead, do the clocks agree."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from modelrollout.cli.asking import Asking
from modelrollout.cli.complaints import Complaint
from modelrollout.cli.fields import Fields
from modelrollout.cli.findings import Finding, error, ok, unknown, warning
from modelrollout.cli.installed import LEASE, SELECTOR, Installed, agrees, operators
from modelrollout.core.wording import duration

DOWN = "see docs/runbooks/operator-down.md"
ASK_AGAIN = 4.0
"""Seconds after which a Lease is read again: its holder renews it every two."""
AHEAD = 5.0
"""Seconds that the holder's clock may be before the server's: what is known of that one was asked for over seconds."""
BEHIND = 7.0
"""Seconds after which a Lease that is renewed every two is looked at twice."""
APART = 5.0
"""Seconds between two clocks that are told; the operator itself holds a rollout at 10 s between it and Prometheus."""
_DATE = re.compile(r"\bDate: (\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT)")


def found(asking: Asking, fallback: str) -> Sequence[Installed] | Complaint:
    """The operators of the cluster; only those of namespace `fallback` where not all may be listed."""
    what, flag = "the operator's Deployment", f"--selector={SELECTOR}"
    answer = asking.items(what, "deployments.apps", "--all-namespaces", flag)
    if isinstance(answer, Complaint):
        answer = asking.items(what, "deployments.apps", f"--namespace={fallback}", flag)
    return answer if isinstance(answer, Complaint) else list(operators(answer))


def deployments(there: Sequence[Installed] | Complaint, *, namespace: str, client: str) -> Iterator[Finding]:
    """Whether an operator runs, is ready, serves `namespace`, and is of this client's version."""
    if isinstance(there, Complaint):
        yield unknown("operator", f"its Deployment can't be looked for: {there}", "name its --operator-namespace")
        return
    if not there:
        what = f"no Deployment with {SELECTOR} and component operator"
        yield warning("operator", f"{what}: none was installed by the chart", "see docs/how-to/run-the-operator.md")
        return
    for each in there:
        ready = f"{each.place}: {each.ready} of {each.wanted} replicas ready"
        if each.ready == 0:
            yield error("operator", ready, f"kubectl -n {each.namespace} describe deployment {each.name}; {DOWN}")
        elif each.ready < each.wanted or not each.updated:
            yield warning("operator", f"{ready}, its roll-out is not over", f"kubectl -n {each.namespace} get pods")
        else:
            yield ok("operator", ready)
        if not each.version:
            yield unknown("version", f"{each.place} has no version label and its image {each.image} no tag")
        elif not agrees(client, each.version):
            told = f"{each.place} is {each.version}, this client {client}"
            yield warning(
                "version", f"{told}: fields of one are unknown to the other", "install the same version of both"
            )
        else:
            yield ok("version", f"{each.place} is {each.version}, this client {client}")
    if not any(each.serves(namespace) for each in there):
        served = ", ".join(sorted({name for each in there for name in each.namespaces}))
        fix = f"add {namespace} to the chart's `namespaces`"
        yield error("served", f"no operator serves namespace {namespace}; served are {served}", fix)


def lease(
    asking: Asking,
    namespace: str,
    name: str,
    ahead: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> Finding:
    """Whether somebody leads now. `ahead`: seconds by which the API server's clock is before this machine's."""
    check, place = "leader", f"Lease {namespace}/{name}"
    first = _record(asking, namespace, name)
    if isinstance(first, Complaint):
        return unknown(check, f"{place} can't be read: {first}")
    if first is None:
        return error(check, f"there is no {place}: no operator has ever led", DOWN)
    holder, renewed = first.text("holderIdentity"), first.moment("renewTime")
    if not holder:
        return error(check, f"nobody holds {place}", DOWN)
    lasts = first.number("leaseDurationSeconds") or 15.0
    # The clock as it is now: minutes may have gone since the server's was asked for.
    age = None if renewed is None else now() + ahead - renewed
    if age is not None and -AHEAD <= age <= BEHIND:
        return ok(check, f"{holder} holds {place}, renewed {duration(max(0.0, age))} ago")
    # Too old or from the future: is nobody there, or is a clock wrong? Who leads renews it.
    sleep(ASK_AGAIN)
    again = _record(asking, namespace, name)
    if isinstance(again, Fields) and again.moment("renewTime") != renewed:
        told = f"its time is {duration(abs(age or 0.0))} {'behind' if (age or 0.0) > 0 else 'ahead of'}"
        return error(
            check,
            f"{holder} holds {place} and renews it, but {told} the API server's clock",
            "set the clocks of the nodes; the operator holds rollouts at 10 s between it and Prometheus",
        )
    if age is not None and 0 <= age + ASK_AGAIN <= lasts:
        told = f"{holder} holds {place}, but has not renewed it for {duration(age + ASK_AGAIN)}"
        return warning(check, f"{told}: it gives up soon", DOWN)
    since = "ever" if age is None else duration(age)
    return error(check, f"{place} has not been renewed by {holder} for {since}: nobody leads", DOWN)


def default_lease(asking: Asking) -> tuple[str, str] | None:
    """Namespace and name of a Lease with the usual name, wherever one is; None when none is to be seen."""
    answer = asking.items(
        "Leases", "leases.coordination.k8s.io", "--all-namespaces", f"--field-selector=metadata.name={LEASE}"
    )
    found = [] if isinstance(answer, Complaint) else [Fields(each).part("metadata") for each in answer]
    return (found[0].text("namespace"), found[0].text("name")) if found else None


def clock(asking: Asking, *, now: Callable[[], float] = time.time) -> tuple[Finding, float | None]:
    """This machine's clock against the API server's, and by how many seconds the latter is ahead; None: not known."""
    before = now()
    answer = asking.headers("the API server's clock")
    after = now()
    if isinstance(answer, Complaint):
        return unknown("clock", f"the API server's time can't be read: {answer}"), None
    date = _DATE.search(answer)
    if date is None:
        return unknown("clock", "kubectl does not show the API server's time"), None
    server = parsedate_to_datetime(date[1]).replace(tzinfo=UTC).timestamp()
    # The header has whole seconds, cut off; the answer came somewhere between the two looks.
    ahead = server + 0.5 - (before + after) / 2
    late = max(0.0, before - (server + 1.0), server - after)
    stamp = datetime.fromtimestamp(server, UTC).strftime("%H:%M:%S")
    if late > APART:
        told = f"this machine's clock is {duration(late)} from the API server's ({stamp} UTC)"
        return warning("clock", f"{told}: ages that are shown are wrong by that", "set this machine's clock"), ahead
    return ok("clock", f"this machine and the API server agree ({stamp} UTC)"), ahead


def _record(asking: Asking, namespace: str, name: str) -> Fields | Complaint | None:
    answer = asking.items(
        "the Lease", "leases.coordination.k8s.io", f"--namespace={namespace}", f"--field-selector=metadata.name={name}"
    )
    if isinstance(answer, Complaint):
        return answer
    return Fields(answer[0]).part("spec") if answer else None
