"""What a plug-in yields: frozen records of a name and a factory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

    from ..callers import CallerStore
    from ..guards import Guard, GuardOptions
    from ..keys import Rotation
    from ..providers import LocalProvider, Options, Provider
    from ..routing import Policy
    from ..secrets import Secret
    from ..state import Mirror

__all__ = [
    "API_VERSION", "CallersRecord", "GuardRecord", "PolicyRecord", "ProviderRecord", "RotationRecord",
    "SecretsRecord", "StateRecord",
]  # fmt: skip  # a list of names

# A plug-in module may state `API_VERSION`; this core works with its own and the one before.
API_VERSION = 1


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """Offer a provider.

    `key_variables` are the environment variables its key is usually in; `settings` the names a
    `[providers.NAME]` table may hold besides the core's. `needs_key` is false for a provider
    that answers in this process or on a trusted network.
    """

    name: str
    factory: Callable[[Options], Provider | LocalProvider]
    key_variables: tuple[str, ...] = ()
    settings: frozenset[str] = frozenset()
    needs_key: bool = True


@dataclass(frozen=True, slots=True)
class GuardRecord:
    """Offer a guard; `settings` maps what its `[[guards]]` table may hold to the defaults.

    The factory raises ConfigurationError for a value it cannot use.
    """

    name: str
    factory: Callable[[GuardOptions], Guard]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StateRecord:
    """Offer a place shared between processes; `name` is the scheme of `state.url`.

    The factory is given the whole URL, which may hold a password, and raises ConfigurationError
    for one it cannot use.
    """

    name: str
    factory: Callable[[Secret], Mirror]


@dataclass(frozen=True, slots=True)
class RotationRecord:
    """Offer an order of vendor keys; one is made for each provider that names it."""

    name: str
    factory: Callable[[], Rotation]


@dataclass(frozen=True, slots=True)
class SecretsRecord:
    """Offer a place secrets are read from; `name` is the scheme before the colon.

    `read` is given what follows it, once per secret and gateway, and gives the value. What it
    raises stops the start.
    """

    name: str
    read: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class CallersRecord:
    """Offer a place client keys are kept in; `name` is the scheme of `callers.store`.

    The factory is given what follows the colon. It looks keys up by their digest only.
    """

    name: str
    factory: Callable[[str], CallerStore]


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """Offer an order of targets; one is made for each route that names it, with the gateway's random numbers."""

    name: str
    factory: Callable[[Random], Policy]
