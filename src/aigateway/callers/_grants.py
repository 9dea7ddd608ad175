"""What a client key allows, and whether a visit is within it: pure rules, each with a reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from math import inf
from typing import NamedTuple

from ..errors import ConfigurationError, Forbidden, Unauthenticated
from ..types import Caller

__all__ = ["Grant", "Visit", "admit", "domain_of", "networks"]

Network = IPv4Network | IPv6Network
LONGEST_HOST = 256  # more than DNS allows; what is longer is not worth the time
UNKNOWN = "the API key is missing or not known here. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."


class Visit(NamedTuple):
    """Say when a request came, from which address, and from which site's page (a host, or nothing)."""

    at: float
    address: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """Hold what one client key allows.

    `starts` and `ends` are seconds since the epoch; from `ends` on it is over. `networks` and
    `domains` are allow-lists; none means everywhere. A domain that begins with `*.` means what
    is below it.
    """

    caller: Caller
    starts: float = -inf
    ends: float = inf
    networks: tuple[Network, ...] = ()
    domains: tuple[str, ...] = field(default=())


def admit(grant: Grant | None, visit: Visit) -> Caller:
    """Let a visit in.

    Raises Unauthenticated, alike for every key that is not valid now (its `reason` is for the log),
    and Forbidden for a valid key in the wrong place.
    """
    if grant is None:
        raise Unauthenticated(UNKNOWN).because("unknown")
    if visit.at < grant.starts:
        raise Unauthenticated(UNKNOWN).because("not valid yet")
    if visit.at >= grant.ends:
        raise Unauthenticated(UNKNOWN).because("expired or revoked")
    if grant.networks and not _within(visit.address, grant.networks):
        raise Forbidden(f"this key may not be used from {visit.address[:64] or 'an unknown address'}.")
    if grant.domains and not _below(visit.origin, grant.domains):
        raise Forbidden(f"this key may not be used by pages of {visit.origin[:128] or 'an unnamed site'}.")
    return grant.caller


def networks(words: Iterable[str]) -> tuple[Network, ...]:
    """Read addresses and CIDR ranges, v4 and v6. Raises ConfigurationError for what is neither."""
    found = []
    for word in words:
        try:
            network = ip_network(word, strict=False)
            mapped = getattr(network.network_address, "ipv4_mapped", None)
            if mapped is not None and network.prefixlen >= 96:
                network = IPv4Network((mapped, network.prefixlen - 96))
            found.append(network)
        except ValueError:
            raise ConfigurationError(f"{word[:64]!r} is no IP address or range, such as 10.0.0.0/8.") from None
    return tuple(found)


def domain_of(host: str) -> str:
    """Write a host the one way it is compared: lower-case, ASCII, without a dot at the end; empty for none."""
    if len(host) > LONGEST_HOST:
        return ""
    bare = host.strip().rstrip(".").lower()
    try:
        written = bare.encode("idna").decode("ascii")
        return written if bare in {written, written.encode().decode("idna")} else ""  # what browsers write otherwise
    except UnicodeError:
        return ""


def _within(address: str, allowed: tuple[Network, ...]) -> bool:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in allowed)


def _below(host: str, allowed: tuple[str, ...]) -> bool:
    return bool(host) and any(host.endswith(d[1:]) if d.startswith("*.") else host == d for d in allowed)
