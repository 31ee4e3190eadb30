"""The notification file: read strictly, with problems that name field, bound and fix. Values that may be secret, the
URLs among them, are never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError

from modelrollout.api.reading import sentence, visible
from modelrollout.api.rules import ApiModel, Rule, UniqueBy
from modelrollout.api.scalars import Label, LabelName, LabelValue, QueryTimeout, parse_duration
from modelrollout.api.targets import DASHBOARD_FIELDS, Links, Notifications, Target, TargetKind
from modelrollout.core.happenings import Happened, Level

MAX_FILE = 256 << 10
MAX_TARGETS = 16
SHOWN = 5
KINDS = tuple(kind.value for kind in TargetKind)
OWN_LABELS = ("alertname", "severity", "rollout_namespace", "rollout")

Url = Annotated[str, Field(strict=True, min_length=1, max_length=2048)]
Secret = Annotated[str, Field(strict=True, min_length=1, max_length=4096, pattern=r"^[!-~]+$")]
_PLACE = re.compile(r"\{([^{}]*)\}")


class BadNotifications(ValueError):
    """The file can't be used; the text is for the admin and holds no secret."""


class _Strict(ApiModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class CloudEventsTarget(_Strict):
    """A CloudEvents receiver."""

    url: Url = Field(description="Address that events are sent to by POST.")
    bearer_token: Secret | None = Field(default=None, description="Sent as Authorization: Bearer.")
    signing_key: Secret | None = Field(default=None, description="Key of the HMAC in Modelrollout-Signature.")


class SlackTarget(_Strict):
    """An incoming webhook of Slack or Mattermost."""

    url: Url = Field(description="The webhook's address.")


class AlertmanagerTarget(_Strict):
    """An Alertmanager."""

    url: Url = Field(description="Base address, such as http://alertmanager.monitoring:9093.")
    bearer_token: Secret | None = Field(default=None, description="Sent as Authorization: Bearer.")
    labels: (
        Annotated[
            dict[LabelName, LabelValue],
            Field(max_length=16),
            Rule("", f"may not hold {', '.join(OWN_LABELS)}", lambda labels: not set(labels) & set(OWN_LABELS)),
        ]
        | None
    ) = Field(default=None, description="Further labels of every alert.")


class TargetModel(_Strict):
    """One receiver: exactly one of the kinds, and what it is told of."""

    RULES = (
        Rule(
            "",
            f"set exactly one of {', '.join(KINDS)}",
            lambda t: sum(getattr(t, kind) is not None for kind in KINDS) == 1,
        ),
    )

    name: Label = Field(description="Name in metrics and logs.")
    cloudevents: CloudEventsTarget | None = None
    slack: SlackTarget | None = None
    alertmanager: AlertmanagerTarget | None = None
    happenings: Annotated[list[Happened], Field(min_length=1, max_length=16)] | None = Field(default=None)
    namespaces: Annotated[list[Label], Field(min_length=1, max_length=256)] | None = Field(default=None)
    severity: Level | None = Field(default=None, description="Least severity.")
    timeout: QueryTimeout | None = Field(default=None, description="Of one delivery; absent: 5s.")


class LinksModel(_Strict):
    """Where messages lead to."""

    runbooks: Annotated[str, Field(strict=True, max_length=512, pattern=r"^https?://[!-~]+$")] | None = None
    dashboard: (
        Annotated[
            str,
            Field(strict=True, max_length=1024, pattern=r"^https?://[!-~]+$"),
            Rule(
                "",
                f"may hold {' and '.join(f'{{{name}}}' for name in DASHBOARD_FIELDS)}, nothing else in braces",
                lambda text: set(_PLACE.findall(text)) <= set(DASHBOARD_FIELDS),
            ),
        ]
        | None
    ) = None


class NotifyFile(_Strict):
    """The file."""

    version: Literal[1] = 1
    cluster: (
        Annotated[str, Field(strict=True, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$")] | None
    ) = None
    links: LinksModel = LinksModel()
    targets: Annotated[list[TargetModel], Field(max_length=MAX_TARGETS), UniqueBy("name")] = Field(default_factory=list)


def read(text: str) -> Notifications:
    """The file in plain values. Raises BadNotifications."""
    if len(text) > MAX_FILE:
        raise BadNotifications(f"the file has {len(text)} characters, at most {MAX_FILE} are read")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise BadNotifications(f"the file is no YAML{where}") from None
    if document is None:
        return Notifications()
    try:
        found = NotifyFile.model_validate(document)
    except ValidationError as error:
        problems = [
            _told(e["loc"], e.get("ctx", {}).get("path", ""), e["type"], e["msg"])
            for e in error.errors(include_url=False, include_input=False)
        ]
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        raise BadNotifications("; ".join(problems[:SHOWN]) + more) from None
    except RecursionError:
        raise BadNotifications("the file is nested too deeply") from None
    links = Links(**{name: value for name, value in found.links if value is not None})
    return Notifications(tuple(_target(each) for each in found.targets), links, found.cluster or "")


def _told(loc: tuple[int | str, ...], tail: str, kind: str, message: str) -> str:
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{visible(str(part)[:64])}"
    return f"{(path + tail).lstrip('.') or 'the file'}: {sentence(kind, message)}"


def _target(model: TargetModel) -> Target:
    kind = next(kind for kind in TargetKind if getattr(model, kind.value) is not None)
    receiver: Any = getattr(model, kind.value)
    labels: Mapping[str, str] = getattr(receiver, "labels", None) or {}
    return Target(
        name=model.name,
        kind=kind,
        url=receiver.url,
        happenings=frozenset(model.happenings or Happened),
        namespaces=frozenset(model.namespaces or ()),
        severity=model.severity or Level.INFO,
        timeout=parse_duration(model.timeout) if model.timeout else 5.0,
        bearer_token=getattr(receiver, "bearer_token", None) or "",
        signing_key=getattr(receiver, "signing_key", None) or "",
        labels=tuple(sorted(labels.items())),
    )
