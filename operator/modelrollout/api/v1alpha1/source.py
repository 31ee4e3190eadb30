"""`MetricSource`: where Prometheus is and who may use it. Addresses and secrets live only here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api.rules import ApiModel, Rule
from modelrollout.api.scalars import LabelName, LabelValue, PositiveDuration, QueryTimeout, Subdomain

Address = Annotated[
    str,
    Field(
        strict=True,
        max_length=512,
        # No user, query or fragment: secrets belong in a Secret.
        pattern=r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$",
    ),
]
SecretKey = Annotated[str, Field(strict=True, min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]

_RESERVED = ("authorization", "host", "cookie")


def _header_names(headers: dict[str, str]) -> bool:
    return all(
        0 < len(name) <= 64 and name.isascii() and name.replace("-", "").isalnum() and name.lower() not in _RESERVED
        for name in headers
    )


Headers = Annotated[
    dict[str, Annotated[str, Field(strict=True, max_length=256, pattern=r"^[ -~]*$")]],
    Field(max_length=8),
    Rule(
        "self.all(name, name.matches('^[A-Za-z0-9-]*[A-Za-z0-9][A-Za-z0-9-]*$') && name.size() <= 64"
        " && !(name.lowerAscii() in ['authorization', 'host', 'cookie']))",
        "names must be letters, digits and dashes, and not Authorization (see auth.bearerToken), Host or Cookie",
        _header_names,
    ),
]


class SecretRef(ApiModel):
    """One key of a Secret in the operator's namespace."""

    secret: Subdomain = Field(description="Name of the Secret.")
    key: SecretKey = Field(description="Key in its data.")


class Auth(ApiModel):
    """How to authenticate to Prometheus."""

    bearer_token: SecretRef = Field(description="Token sent as Authorization: Bearer.")


class Tls(ApiModel):
    """How to verify Prometheus."""

    ca: SecretRef = Field(description="Certificates of the authorities to trust instead of the system's, PEM.")


class Prometheus(ApiModel):
    """A server that speaks the Prometheus HTTP API."""

    address: Address = Field(description="Base URL, such as http://prometheus.monitoring:9090.")
    auth: Auth | None = Field(default=None, description="Absent: none.")
    tls: Tls | None = Field(default=None, description="Absent: the system's authorities.")
    headers: Headers | None = Field(default=None, description="Sent with every query, such as X-Scope-OrgID.")
    timeout: QueryTimeout | None = Field(default=None, description="Of one query; absent: 5s.")
    max_concurrency: Annotated[int, Field(strict=True, ge=1, le=64, json_schema_extra={"format": "int32"})] | None = (
        Field(default=None, description="Queries at the same time; absent: 8.")
    )


class SourceLabel(ApiModel):
    """The label that tells the arms apart, for every rollout of this source."""

    RULES = (
        Rule(
            "self.legacy != self.candidate",
            "legacy and candidate must differ",
            lambda a: a.legacy != a.candidate,
            path=".candidate",
        ),
    )

    name: LabelName = Field(description="Name of the label.")
    legacy: LabelValue = Field(description="Its value for legacy.")
    candidate: LabelValue = Field(description="Its value for the candidate.")


class Arms(ApiModel):
    """How the series of the two arms are told apart."""

    RULES = (
        Rule(
            "(self.by == 'label') == has(self.label)",
            "label must be set with by: label, and only then",
            lambda a: (a.by == "label") == (a.label is not None),
            path=".label",
        ),
    )

    by: Literal["pod", "label"] = Field(description="pod: by the pod's name and namespace; label: by a label's value.")
    label: SourceLabel | None = Field(default=None, description="With by: label.")


NamespaceLabels = Annotated[
    dict[
        str, Annotated[str, Field(strict=True, max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
    ],
    Field(max_length=16),
]


class AllowedNamespaces(ApiModel):
    """Namespaces that may use the source."""

    match_labels: NamespaceLabels = Field(description="Labels that the namespace must have, all of them.")


class SourceSpec(ApiModel):
    """One source of metrics."""

    prometheus: Prometheus = Field(description="The server to ask.")
    arms: Arms | None = Field(default=None, description="How the arms are told apart; absent: by pod.")
    allowed_namespaces: AllowedNamespaces | None = Field(default=None, description="Absent: every namespace.")
    scrape_interval: PositiveDuration | None = Field(
        default=None, description="How often targets are scraped; absent: found by the operator."
    )
