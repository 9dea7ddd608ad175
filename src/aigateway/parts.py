"""What settings are built into: providers, key rings, the catalogue, names, guards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeVar

from .catalogue import Catalogue, Estimator, Listings, Meter, size_of
from .errors import ConfigurationError, PluginError, RequestError
from .guards import Guard, GuardOptions
from .keys import Key, Ring, Slot, Source
from .plugins import Registry
from .providers import LocalProvider, Options, Provider
from .renewal import Before
from .routing import Names, Policy, Rules
from .secrets import Secret, WatchedFile, place
from .state import Document, FileMirror, Mirror
from .types import Call, Clock, Retries, Routing, Target, Terms, Timeouts, Usage

if TYPE_CHECKING:
    from .config import KeySettings, Settings
    from .renewal import Lasting

__all__ = ["Parts", "build", "offered", "read_elsewhere"]

T = TypeVar("T")
NOWHERE = Target("", "")


@dataclass(frozen=True, slots=True)
class Parts:
    """What settings were built into."""

    providers: Mapping[str, Provider | LocalProvider]
    rings: Mapping[str, Ring]
    catalogue: Catalogue
    names: Names
    guards: Sequence[Guard]
    drains: Mapping[str, float]
    policies: Mapping[str, Policy]
    policy_names: Mapping[str, str]
    estimator: Estimator
    meter: Meter
    listings: Listings
    mirror: Mirror | None = None


def build(settings: Settings, registry: Registry, lasting: Lasting, before: Before) -> Parts:
    """Turn settings into parts, loading the plug-ins they name; what was there before and is the same goes on."""
    from .config import Trees

    read_elsewhere(settings, registry)
    providers: dict[str, Provider | LocalProvider] = {}
    rings: dict[str, Ring] = {}
    for name in settings.providers:
        providers[name] = _provider(settings, registry, name, before)
        rings[name] = before.ring(name, settings.providers[name]) or _ring(settings, registry, name, lasting, before)
    catalogue = _catalogue(settings, providers)
    listings = _listings(settings, providers, catalogue, lasting.clock, before)
    retries = settings.retries.over(Retries())
    rules = Rules(settings.default_model, settings.unknown_models, settings.fallback, Terms(retries))
    trees = Trees(settings, catalogue, settings.timeouts.over(Timeouts()))
    terms = {name: route.terms(retries, trees.shadow(name)) for name, route in settings.routes.items()}
    names = Names(trees.all(), catalogue, rules, terms)
    _check_default(settings, names)
    mirror = before.mirror(settings) or _mirror(settings, registry)
    estimator = before.estimator or Estimator()
    guess = partial(_estimate, estimator)
    options = GuardOptions("", lasting.clock, lasting.random, {}, mirror, settings.server.workers, guess)
    known = enumerate(before.guards(settings))
    guards = [_guard(settings, registry, at, options) if guard is None else guard for at, guard in known]
    # Read on after a cancellation only where cancelling does not stop the bill.
    unstoppable = [name for name in providers if not getattr(providers[name], "cancel_stops_billing", True)]
    drains = {name: settings.providers[name].drain for name in unstoppable if settings.providers[name].drain}
    # The order of the configuration needs no policy, and nothing worked out for one.
    routes = [name for name, route in settings.routes.items() if route.policy != "priority"]
    policies = {name: _policy(settings, registry, name, lasting.random, before) for name in routes}
    policy_names = {name: settings.routes[name].policy for name in routes}
    made = (estimator, Meter(catalogue, estimator, lasting.clock), listings)
    return Parts(providers, rings, catalogue, names, guards, drains, policies, policy_names, *made, mirror)


def _catalogue(settings: Settings, providers: Mapping[str, Provider | LocalProvider]) -> Catalogue:
    shipped = {name: provider.models() for name, provider in providers.items()}
    if not settings.models:
        return Catalogue(shipped)
    from .config import described

    return Catalogue(described(settings, shipped))


def _listings(
    settings: Settings,
    providers: Mapping[str, Provider | LocalProvider],
    catalogue: Catalogue,
    clock: Clock,
    before: Before,
) -> Listings:
    """Find what vendors listed last: kept beside the state, where that is a file."""
    homes = {name: str(getattr(provider, "base_url", "")) for name, provider in providers.items()}
    document = None
    if settings.state.scheme == "file":
        path = place(Path(settings.state.url.reveal().removeprefix("file:")), settings.context.base)
        document = Document(path.with_name(f"{path.stem}-models.json"))
    listings = Listings(catalogue, homes, clock, document)
    listings.load()
    if before.listings is not None:
        listings.follow(before.listings)
    return listings


def read_elsewhere(settings: Settings, registry: Registry) -> None:
    """Let plug-ins read the secrets that are theirs. Raises ConfigurationError that shows none of them."""
    for secret in settings.context.elsewhere:
        stands = settings.context.where_written(f"{secret.scheme}:{secret.reference}")
        where = f"{stands}: a secret begins with {secret.scheme}:"
        try:
            record = registry.secrets(secret.scheme)
        except PluginError as error:
            raise ConfigurationError(
                f"{where}, which no plug-in that works reads. Use env:NAME or file:PATH. ({error.message})"
            ) from None
        try:
            value: object = record.read(secret.reference)
        except Exception as error:  # whatever a plug-in raises, its words may hold the secret
            raise ConfigurationError(f"{where}; its plug-in could not read it ({type(error).__name__}).") from None
        if not isinstance(value, str) or not value.strip():
            raise ConfigurationError(f"{where}; its plug-in gave nothing.")
        secret.fill(value.strip())


def _ring(settings: Settings, registry: Registry, name: str, lasting: Lasting, before: Before) -> Ring:
    table = settings.providers[name]
    path = ("providers", name, "rotation")
    record = _located(settings, path, lambda: registry.rotation(table.rotation))
    rotation = before.rotation(name, table) or offered(settings, path, record.factory, "order")
    for index, key in enumerate(table.keys):
        if not key.secret.is_sendable:
            where = settings.locate("providers", name, "keys", index)
            raise ConfigurationError(f"{where}: the key from {key.secret.source or 'here'} is not one word of ASCII.")
    slots = [before.slot(name, table, key) or before.heard(name, _slot(key, table.grace)) for key in table.keys]
    clock = lasting.clock
    return Ring(name, slots, lasting.memory.rests, rotation=rotation, now=clock.now, wall=clock.wall)


def _slot(key: KeySettings, grace: float) -> Slot:
    return Slot(_key(key), _source(key.secret), grace=grace)


def _key(key: KeySettings) -> Key:
    ends = key.expires.timestamp() if key.expires else inf
    return Key(key.secret, key.quota_group, key.weight, tuple(key.models), ends, key.concurrency)


def _source(secret: Secret) -> Source | None:
    """Watch a secret that stands in a file; what stands in the environment cannot change while we run."""
    kind, _, path = secret.source.partition(":")
    return WatchedFile(Path(path)) if kind == "file" else None


def offered(settings: Settings, path: Sequence[str | int], make: Callable[[], T], method: str) -> T:
    """Let a plug-in make what it offers. Raises ConfigurationError that says where, and nothing a secret may be in."""
    try:
        made = _located(settings, path, make)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"{settings.locate(*path)}: {'.'.join(map(str, path))} cannot be made by its plug-in "
            f"({type(error).__name__})."
        ) from error
    if not callable(getattr(made, method, None)):
        raise ConfigurationError(
            f"{settings.locate(*path)}: for {'.'.join(map(str, path))} a plug-in gave a {type(made).__name__}, "
            f"which has no {method!r}."
        )
    return made


def _check_default(settings: Settings, names: Names) -> None:
    if settings.default_model:
        today = datetime.now(UTC).date()
        _located(settings, ("default_model",), lambda: names.resolve(settings.default_model, Routing(), today=today))


def _located(settings: Settings, path: Sequence[str | int], build: Callable[[], T]) -> T:
    """Build a part; say where in the configuration it is wrong."""
    try:
        return build()
    except (ConfigurationError, RequestError) as error:
        raise ConfigurationError(f"{settings.locate(*path)}: {error.message}") from error


def _provider(settings: Settings, registry: Registry, name: str, before: Before) -> Provider | LocalProvider:
    from .config import unknown_setting

    table = settings.providers[name]
    record = _located(settings, ("providers", name), lambda: registry.provider(table.type or name))
    for setting in table.own:
        if setting not in record.settings:
            allowed = sorted({*type(table).model_fields, *record.settings})
            raise unknown_setting(("providers", name, setting), allowed, settings.context)
    if record.needs_key and not table.keys:
        raise ConfigurationError(
            f"{settings.locate('providers', name)}: the provider {name!r} has no key. "
            f'Add keys = [{{ secret = "env:{record.key_variables[0] if record.key_variables else "NAME"}" }}].'
        )
    known = before.provider(name, table)
    if known is not None:
        return known
    options = Options(name, table.base_url, table.own)
    return _located(settings, ("providers", name), lambda: record.factory(options))


def _policy(settings: Settings, registry: Registry, route: str, random: Random, before: Before) -> Policy:
    name, path = settings.routes[route].policy, ("routes", route, "policy")
    return before.policy(route, name) or _located(settings, path, lambda: registry.policy(name).factory(random))


def _mirror(settings: Settings, registry: Registry) -> Mirror | None:
    scheme = settings.state.scheme
    if scheme == "memory":
        return None
    if scheme == "file":
        path = Path(settings.state.url.reveal().removeprefix("file:"))
        return FileMirror(Document(place(path, settings.context.base)))
    return _located(settings, ("state", "url"), lambda: registry.state(scheme).factory(settings.state.url))


def _estimate(estimator: Estimator, call: Call) -> Usage:
    return estimator.usage(call.first or NOWHERE, size_of(call.request.body))


def _guard(settings: Settings, registry: Registry, index: int, options: GuardOptions) -> Guard:
    from .config import unknown_setting

    table = settings.guards[index]
    record = _located(settings, ("guards", index), lambda: registry.guard(table.use))
    for setting in table.own:
        if setting not in record.settings:
            raise unknown_setting(("guards", index, setting), ["use", *record.settings], settings.context)
    options = replace(options, name=table.use, settings={**record.settings, **table.own})
    return _located(settings, ("guards", index), lambda: record.factory(options))
