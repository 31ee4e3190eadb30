"""What is deleted after a while: actions that were answered long ago."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from modelrollout.errors import RolloutError
from modelrollout.ports import Rollouts

log = logging.getLogger(__name__)

ACTIONS_KEPT = 7 * 86400.0


async def tidy(finished: Iterable[tuple[str, str]], rollouts: Rollouts) -> None:
    """Delete these actions (namespace, name); what can't be deleted now is tried at the next list."""
    for namespace, name in finished:
        try:
            await rollouts.delete_action(namespace, name)
        except RolloutError as error:
            log.warning("action %s/%s is old but can't be deleted: %s", namespace, name, error)
