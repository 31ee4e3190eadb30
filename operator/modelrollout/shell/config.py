"""Settings of a run: read once from flags and environment, checked, frozen. Listed in docs/reference/flags.md."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from modelrollout.adapters.kube.selector import LabelSelector

PREFIX = "MODELROLLOUT_"
ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
LEASE = "modelrollout-operator"
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]


class BadSettings(ValueError):
    """A flag or variable that can't be used; the text is for the user."""


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    PLAIN = "plain"


class LogLevel(StrEnum):
    """The least severe line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Settings(BaseModel):
    """How this process runs. A flag wins over its variable, a variable over the default."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    kubeconfig: Path | None = Field(None, description="Credentials file; without it the pod's service account is used.")
    namespace: tuple[Name, ...] = Field(
        (), description="Only serve these namespaces (repeat the flag, or separate by commas); without it all."
    )
    selector: str = Field(
        "", description="Only serve ModelRollouts with these labels, as `kubectl get -l` takes them; for shards."
    )
    lease_namespace: Name = Field(description="Namespace of the Lease and of the Secrets that MetricSources name.")
    lease_name: Name = Field(LEASE, description="Name of the Lease that replicas share; each shard has one of its own.")
    identity: str = Field(min_length=1, max_length=200, description="Holder of the Lease; differs between processes.")
    web: str = Field("0.0.0.0:8080", description="Address of /livez, /readyz and /metrics; port 0 takes a free one.")
    workers: int = Field(16, ge=2, le=64, description="Reconciles at the same time; one is kept for reverts.")
    resync: float = Field(450.0, ge=60.0, le=3600.0, description="Seconds between full lists of all watched kinds.")
    log_format: LogFormat = Field(LogFormat.JSON, description="json or plain.")
    log_level: LogLevel = Field(LogLevel.INFO, description="debug, info, warning or error.")
    journal: Path | None = Field(None, description="File for one JSON line per decision; without it none is kept.")
    notify_file: Path | None = Field(None, description="YAML file of notification targets; without it nobody is told.")
    allow_loopback_sources: bool = Field(
        False, description="Let MetricSources and notification targets point at this machine; for a local cluster only."
    )

    @field_validator("web")
    @classmethod
    def _address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise ValueError("must be <host>:<port>, such as 127.0.0.1:8080")
        return value

    @field_validator("selector")
    @classmethod
    def _selects(cls, value: str) -> str:
        return LabelSelector.parse(value).text

    @field_validator("lease_name")
    @classmethod
    def _own_lease(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("selector") and value == LEASE:
            raise ValueError("with --selector it must be another one, for the Lease of this shard alone")
        return value

    @field_validator("kubeconfig")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @property
    def web_host(self) -> str:
        """Host part of `web`."""
        return self.web.rpartition(":")[0].strip("[]")

    @property
    def web_port(self) -> int:
        """Port part of `web`."""
        return int(self.web.rpartition(":")[2])


def load(flags: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from flags (by field name, None: not given) and environment. Raises BadSettings."""
    values: dict[str, object] = {}
    for name in Settings.model_fields:
        text = environ.get(PREFIX + name.upper())
        if text is not None:
            values[name] = tuple(part for part in text.split(",") if part) if name == "namespace" else text
        given = flags.get(name)
        if given not in (None, ()):
            values[name] = given
    values.setdefault("identity", _identity(environ))
    if "lease_namespace" not in values:
        found = environ.get("POD_NAMESPACE") or _account_namespace()
        if found is None:
            raise BadSettings(f"--lease-namespace ({PREFIX}LEASE_NAMESPACE) must be given outside of a cluster")
        values["lease_namespace"] = found
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise BadSettings("; ".join(_told(e["loc"], e["msg"], values) for e in error.errors())) from None


def _told(loc: tuple[int | str, ...], message: str, values: Mapping[str, object]) -> str:
    name = str(loc[0])
    text = message.removeprefix("Value error, ")
    value = values.get(name, Settings.model_fields[name].default)
    return f"--{name.replace('_', '-')} ({PREFIX}{name.upper()}) is {str(value)!r}: {text}"


def _identity(environ: Mapping[str, str]) -> str:
    # A pod restarts its container under the same name and uid: it may go on with its own Lease at once.
    return f"{environ.get('POD_NAME') or socket.gethostname()}_{environ.get('POD_UID') or uuid.uuid4()}"


def _account_namespace() -> str | None:
    try:
        return ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
