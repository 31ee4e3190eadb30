"""`LeaseStore` port on coordination.k8s.io/v1. Times are MicroTime strings in UTC, made and read by the caller."""

from __future__ import annotations

from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.failures import NotServed
from modelrollout.adapters.kube.resources import LEASES, Body
from modelrollout.core.model import Epoch
from modelrollout.errors import Conflict, Gone
from modelrollout.ports import LeaseRecord


class KubeLeaseStore:
    """The Lease of one name; its labels and annotations stay as they are."""

    def __init__(self, client: KubeClient, namespace: str, name: str) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._body: Body | None = None

    async def read(self) -> LeaseRecord | None:
        """The Lease, or None when there is none."""
        try:
            self._body = await self._client.get(LEASES, self._namespace, self._name)
        except NotServed:
            raise
        except Gone:
            self._body = None
            return None
        return _record(self._body)

    async def write(self, record: LeaseRecord, *, create: bool) -> LeaseRecord:
        """Create it, or replace it at `record.resource_version`.

        Raises Conflict when it exists already, or has changed or gone since.
        """
        known = self._body or {}
        metadata = {key: value for key, value in known.get("metadata", {}).items() if key in ("labels", "annotations")}
        metadata |= {"namespace": self._namespace, "name": self._name}
        body: Body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": _spec(record, known.get("spec") or {}),
        }
        if create:
            self._body = await self._client.create(LEASES, self._namespace, body)
        else:
            metadata["resourceVersion"] = record.resource_version
            if "uid" in known.get("metadata", {}):
                # The server would make a deleted Lease anew, and then its epochs could begin again unseen.
                metadata["uid"] = known["metadata"]["uid"]
            try:
                self._body = await self._client.replace(LEASES, self._namespace, self._name, body)
            except Gone as error:
                raise Conflict("somebody deleted the lease", subject=error.subject) from error
        return _record(self._body)


def _spec(record: LeaseRecord, known: Body) -> Body:
    same = known.get("holderIdentity", "") == record.holder and "acquireTime" in known
    spec: Body = {
        "leaseDurationSeconds": max(1, round(record.duration)),
        "leaseTransitions": int(record.transitions),
        "renewTime": record.renewed,
        "acquireTime": known["acquireTime"] if same else record.renewed,
    }
    # The server takes an absent holder, not an empty one.
    return spec | ({"holderIdentity": record.holder} if record.holder else {})


def _record(body: Body) -> LeaseRecord:
    spec = body.get("spec") or {}
    return LeaseRecord(
        holder=str(spec.get("holderIdentity") or ""),
        transitions=Epoch(int(spec.get("leaseTransitions") or 0)),
        duration=float(spec.get("leaseDurationSeconds") or 0),
        renewed=str(spec.get("renewTime") or ""),
        resource_version=str(body["metadata"]["resourceVersion"]),
    )
