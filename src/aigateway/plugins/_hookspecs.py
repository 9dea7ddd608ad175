"""Where a plug-in can attach: one hook per folder of the core, named like it.

Each hook is called once, when a gateway is built, is synchronous, and yields frozen records of a
name and a factory. What runs per request is a protocol, never a hook.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from ._records import (
        CallersRecord,
        GuardRecord,
        PolicyRecord,
        ProviderRecord,
        RotationRecord,
        SecretsRecord,
        StateRecord,
    )

__all__ = ["GROUP", "hookimpl", "hookspec"]

GROUP = "aigateway"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def aigateway_providers() -> Iterable[ProviderRecord]:
    """Offer providers; called when the configuration first names the plug-in."""
    raise AssertionError("a specification is not called")


@hookspec
def aigateway_guards() -> Iterable[GuardRecord]:
    """Offer guards; called when a `[[guards]]` table first names the plug-in."""
    raise AssertionError("a specification is not called")


@hookspec
def aigateway_state() -> Iterable[StateRecord]:
    """Offer a place shared between processes; called when `state.url` first names its scheme."""
    raise AssertionError("a specification is not called")


@hookspec
def aigateway_keys() -> Iterable[RotationRecord]:
    """Offer orders of vendor keys; called when `rotation` first names the plug-in."""
    raise AssertionError("a specification is not called")


@hookspec
def aigateway_secrets() -> Iterable[SecretsRecord]:
    """Offer places secrets are read from; called when a secret first names the scheme."""
    raise AssertionError("a specification is not called")


@hookspec
def aigateway_callers() -> Iterable[CallersRecord]:
    """Offer places client keys are kept in; called when `callers.store` first names the scheme."""
    raise AssertionError("a specification is not called")


@hookspec
def aigateway_routing() -> Iterable[PolicyRecord]:
    """Offer orders of targets; called when a route's `policy` first names the plug-in."""
    raise AssertionError("a specification is not called")
