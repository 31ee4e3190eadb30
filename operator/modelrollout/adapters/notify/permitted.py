"""The notification file as it may be used: every target at an address that may be connected to."""

from __future__ import annotations

from modelrollout.adapters.addresses import AddressPolicy, Use, problem_of
from modelrollout.api.notify_file import BadNotifications, read
from modelrollout.api.targets import Notifications

RECEIVER = Use(
    credentials="use bearerToken",
    loopback="name the receiver's Service",
    never="a receiver of notifications",
    query=True,
)


def targets_of(text: str, policy: AddressPolicy) -> Notifications:
    """What the file says. Raises BadNotifications, also for an address that is never a receiver."""
    wanted = read(text)
    for index, target in enumerate(wanted.targets):
        wrong = problem_of(target.url, policy, RECEIVER)
        if wrong is not None:
            raise BadNotifications(f"targets[{index}].{target.kind.value}.url of {target.name}: {wrong}")
    return wanted
