"""Where the operator may connect to: rules for the address of a metric source or of a receiver of notifications, and
for the addresses its name resolves to.

The second check happens when a connection is made, on the very address that is connected to, so a name that
changes its mind between check and use gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_ADDRESS = 2048

# Metadata services that are not link-local: AWS (IPv6), Alibaba Cloud, Azure's host agent.
METADATA = frozenset({"fd00:ec2::254", "100.100.100.200", "168.63.129.16"})
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What may be connected to.

    `denied`: further addresses, in canonical form, such as the API server's and this pod's own.
    """

    allow_loopback: bool = False
    denied: frozenset[str] = frozenset()

    def permits(self, address: str) -> bool:
        """Whether a connection to this IP address (text, zone allowed) may be made."""
        ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
        if ip.is_loopback:
            return self.allow_loopback
        if ip.is_link_local or ip.is_unspecified or ip.is_multicast:
            return False
        return str(ip) not in METADATA and str(ip) not in self.denied


def addresses_of_pod(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Addresses of the API server's Service and of this pod, canonical, as the environment of a pod tells them.

    `KUBERNETES_SERVICE_HOST` is set by kubelet, an IPv6 address without brackets; `POD_IPS`, with commas, by the chart.
    Names and nonsense are left out: a name is judged by what it resolves to.
    """
    found = []
    for text in (environ.get("KUBERNETES_SERVICE_HOST", ""), *environ.get("POD_IPS", "").split(",")):
        try:
            found.append(str(_unwrapped(ipaddress.ip_address(text.strip().strip("[]")))))
        except ValueError:
            continue
    return tuple(found)


def _unwrapped(ip: IPAddress) -> IPAddress:
    """The IPv4 address inside a mapped, tunnelled or translated IPv6 one."""
    if isinstance(ip, ipaddress.IPv6Address):
        inside = ip.ipv4_mapped or ip.sixtofour
        if inside is not None:
            return inside
        if ip in NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


@dataclass(frozen=True, slots=True)
class Use:
    """What an address is for, in the words of its problems. `query`: whether it may carry one."""

    credentials: str = "use prometheus.auth"
    loopback: str = "name the Prometheus Service"
    never: str = "a metric source"
    query: bool = False


SOURCE = Use()


def problem_of(address: str, policy: AddressPolicy, use: Use = SOURCE) -> str | None:
    """What is wrong with an address, as the end of a sentence, or None. Never repeats the address."""
    if len(address) > MAX_ADDRESS or not re.fullmatch(r"[!-~]+", address) or "\\" in address:
        return f"must be a URL of at most {MAX_ADDRESS} printable ASCII characters"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is no URL; write it as http://<host>:<port>"
    if parts.scheme not in ("http", "https"):
        return "must start with http:// or https://"
    if parts.username is not None or parts.password is not None:
        return f"must not carry a user name or password; {use.credentials}"
    if parts.fragment or "#" in address or (not use.query and (parts.query or "?" in address)):
        return "must not carry a fragment" if use.query else "must not carry a query or fragment"
    if not host or port == 0:
        return "names no host or port; write it as http://<host>:<port>"
    return _problem_of_host(host, policy, use)


def _problem_of_host(host: str, policy: AddressPolicy, use: Use) -> str | None:
    if host.rstrip(".").lower() == "localhost" and not policy.allow_loopback:
        return f"points to the loopback interface of the operator; {use.loopback}"
    try:
        permitted = policy.permits(host)
    except ValueError:
        return None  # a name: what it resolves to is checked at each connection
    return None if permitted else f"points to an address that is never {use.never} (loopback, link-local, metadata)"
