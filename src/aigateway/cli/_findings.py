"""What deserves a look in a configuration that can be built: each finding is one line, with its place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from ..asgi import is_loopback
from ..config import Settings
from ..gateway import Gateway
from ..routing import PATTERNS
from ..secrets import place
from ..types import Caller, ChatRequest, Target

__all__ = ["findings", "unusable_files"]

DAY = 86_400.0
SOON = 7 * DAY
SHORT = 16
# What the built-in guards do, as far as their order matters: who is entered behind one that answers does not see it.
ANSWERS = {"cache", "idempotency"}
WATCHES = {"log", "metrics", "otel"}


@dataclass(frozen=True)
class View:
    """Give a finder what it looks at."""

    gateway: Gateway
    settings: Settings
    now: datetime

    def targets(self) -> Iterator[tuple[str, Target]]:
        """Give every target with the route it is in."""
        for route, targets in self.gateway.parts.names.routes.items():
            for target in targets:
                yield route, target

    def names(self) -> set[str]:
        """List every name something answers to by itself."""
        catalogue = self.gateway.parts.catalogue
        known = {model for owner in catalogue for model in catalogue[owner]}
        return {*self.gateway.parts.names.routes, *known, *(f"{o}/{m}" for o in catalogue for m in catalogue[o])}


def findings(gateway: Gateway, now: datetime | None = None) -> list[str]:
    """List what deserves a look, in the order of the file."""
    view = View(gateway, gateway.settings, now or datetime.now(UTC))
    found = [line for find in FINDERS for line in find(view)]
    return list(dict.fromkeys(found))


# -- vendors and their keys ---------------------------------------------------------------------


def _of_keys(view: View) -> Iterator[str]:
    """Look at each vendor key: expired, about to, several in one, twice."""
    for name, ring in view.gateway.parts.rings.items():
        seen: set[str] = set()
        for key in ring.keys:
            what = f"providers.{name}: {key.id}"
            if key.secret is None:
                continue
            if key.id in seen:
                yield f"{what} stands there twice"
            seen.add(key.id)
            if "," in key.secret.reveal():
                yield f"{what} holds a comma; several keys are several entries, each with a variable of its own"
            if key.ends <= view.now.timestamp():
                yield f"{what} has expired"
            elif key.ends < view.now.timestamp() + SOON:
                yield f"{what} expires on {datetime.fromtimestamp(key.ends, UTC):%Y-%m-%d %H:%M} UTC"


def _of_key_models(view: View) -> Iterator[str]:
    """Look for models in a vendor key's list that its vendor does not have."""
    asked: dict[str, set[str]] = {}
    for _, target in view.targets():
        asked.setdefault(target.provider, set()).add(target.model)
    for name, ring in view.gateway.parts.rings.items():
        known = set(view.gateway.parts.catalogue[name])
        for key in ring.keys if known else ():
            for pattern in key.models:
                if not _matched(pattern, known | asked.get(name, set())):
                    near = _near(pattern, known)
                    yield f"providers.{name}: {key.id} is for {pattern!r}, which is no model of {name}{near}"


# -- routes -------------------------------------------------------------------------------------


def _of_targets(view: View) -> Iterator[str]:
    """Look at each target: nobody's model, retired, about to be, without a key."""
    today = view.now.date()
    for route, target in view.targets():
        known = view.gateway.parts.catalogue.get(target.provider, {})
        info = known.get(target.model)
        what = f"routes.{route}: {target}"
        if info is None and known:
            yield f"{what} is not in {target.provider}'s catalogue{_near(target.model, known)}"
        elif info is not None and info.successor is not None and (info.shutdown or today) <= today:
            yield f"{what} is retired; use {target.provider}/{info.successor}"
        elif info is not None and info.shutdown is not None:
            verb = "was" if info.shutdown <= today else "will be"
            yield f"{what} {verb} switched off on {info.shutdown}"
        if why := _without_key(view, target):
            yield f"{what} can never be asked: {why}"


def _without_key(view: View, target: Target) -> str:
    """Say why no key of a vendor can be used for a model; empty if one can."""
    ring = view.gateway.parts.rings[target.provider]
    if any(ring.barred(key, target.model) is None for key in ring.keys):
        return ""
    if all(key.ends <= view.now.timestamp() for key in ring.keys):
        return f"every key of {target.provider} has expired"
    return f"no key of {target.provider} that is valid may be used for it (models)"


def _of_route_names(view: View) -> Iterator[str]:
    """Look for routes that stand before what their name meant, and for routes that no name means."""
    catalogue = view.gateway.parts.catalogue
    for name, targets in view.gateway.parts.names.routes.items():
        reached = {str(target) for target in targets}
        vendor = next((vendor for pattern, vendor in PATTERNS if pattern.fullmatch(name)), "")
        if vendor in catalogue:
            yield f"routes.{name} is a word that stands for {vendor}: {name}-x, say, goes there and not to this route"
        for owner in catalogue:
            if name in catalogue[owner] and f"{owner}/{name}" not in reached:
                yield f"routes.{name} hides the model {name} of {owner}, which is reached as {owner}/{name} only"
        owner, slash, _ = name.partition("/")
        if slash and owner in catalogue and name not in reached:
            yield f"routes.{name} hides what {name} would mean: that model of {owner} cannot be reached any more"


def _of_repeats(view: View) -> Iterator[str]:
    """Look for targets that stand in a route twice, without a condition that tells them apart."""
    for name, route in view.settings.routes.items():
        seen: set[str] = set()
        for entry in route.targets:
            if getattr(entry, "when", None) is not None:
                continue
            if entry.to in seen:
                yield f"routes.{name}: {entry.to} stands there twice"
            seen.add(entry.to)


def _of_recovery(view: View) -> Iterator[str]:
    """Look for routes whose broken answers nobody can go on with."""
    for name, route in view.settings.routes.items():
        targets = view.gateway.parts.names.routes.get(name, ())
        if route.recovery == "continue" and not any(_continues(view, target) for target in targets):
            yield f'routes.{name}: recovery = "continue", but none of its targets can go on with an answer of another'


def _continues(view: View, target: Target) -> bool:
    provider = view.gateway.parts.providers[target.provider]
    go_on: Callable[[ChatRequest, str], object] | None = getattr(provider, "continuation", None)
    asked = ChatRequest.parse({"model": target.model, "messages": [{"role": "user", "content": "hi"}]})
    try:
        return go_on is not None and go_on(asked, "so far") is not None
    except Exception:  # a plug-in's own fault is not this finding
        return True


def _of_defaults(view: View) -> Iterator[str]:
    if view.settings.unknown_models == "default" and not view.settings.default_model:
        yield 'unknown_models = "default", but there is no default_model: unknown names are refused'


# -- who asks -----------------------------------------------------------------------------------


def _of_client_keys(view: View) -> Iterator[str]:
    """Look at client keys: short ones, and lists of models nobody has."""
    names, catalogue = view.names(), view.gateway.parts.catalogue
    open_ended = {owner for owner in catalogue if not catalogue[owner]}
    for key in view.settings.callers.keys:
        if len(key.secret.reveal()) < SHORT:
            what = f"the key of {key.name!r} is short enough to be guessed"
            yield f"callers.keys: {what}; make it {SHORT} characters or more"
        if key.expires is not None and key.expires <= view.now:
            yield f"callers.keys: the key of {key.name!r} has expired"
        for pattern in key.models:
            if not _matched(pattern, names) and pattern.partition("/")[0] not in open_ended:
                yield f"callers.keys: {key.name!r} may use {pattern!r}, which names nothing here{_near(pattern, names)}"


def _of_forbidden_routes(view: View) -> Iterator[str]:
    """Look for routes that no client key may ask for; other sorts of keys say so themselves."""
    callers = view.settings.callers
    if callers.store or callers.weekly or callers.jwt or not callers.keys:
        return
    clients = [Caller(key.name, models=tuple(key.models)) for key in callers.keys]
    used = {entry.to for route in view.settings.routes.values() for entry in route.targets}
    used |= {view.settings.default_model, view.settings.fallback}
    for name, targets in view.gateway.parts.names.routes.items():
        reached = (name, *(str(target) for target in targets), *(target.model for target in targets))
        if name not in used and not any(client.may_use(*reached) for client in clients):
            yield f"routes.{name} can never be reached over HTTP: no client key may use it or its targets"


def _of_address(view: View) -> Iterator[str]:
    host = view.settings.server.host
    known = host == "localhost" or is_loopback(host)
    if not view.settings.callers.any and not known:
        yield f"server.host = {host!r} without client keys: `aigateway serve` refuses that, for anybody could ask"


# -- guards, files, plug-ins --------------------------------------------------------------------


def _of_guards(view: View) -> Iterator[str]:
    """Look for guards that never see what they are there for, and for guards that stand twice."""
    guards = view.settings.guards
    for index, guard in enumerate(guards):
        before = next((other.use for other in guards[:index] if other.use in ANSWERS), None)
        if guard.use in WATCHES and before:
            yield f"guards[{index}]: {guard.use} does not see what {before} answers; put it before"
        if any(other.use == guard.use and other.own == guard.own for other in guards[:index]):
            yield f"guards[{index}]: {guard.use} stands there twice, with the same settings"


def _of_files(view: View) -> Iterator[str]:
    yield from (f"{name}: {why}" for name, why in unusable_files(view.settings))


def unusable_files(settings: Settings) -> Iterator[tuple[str, str]]:
    """Give the settings whose file cannot be written, each with the reason."""
    stores = {"state.url": settings.state.url.reveal(), "callers.store": settings.callers.store or ""}
    stores |= {"decisions.file": f"file:{settings.decisions.file}"} if settings.decisions.file else {}
    for name, where in stores.items():
        kind, _, path = where.partition(":")
        if kind == "file":
            why = _unusable(place(Path(path), settings.context.base))
            if why:
                yield name, why


def _unusable(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a folder; name a file in it"
    if not path.parent.is_dir():
        return f"the folder {path.parent} is not there; make it"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"nothing can be written into the folder {path.parent}; a file is replaced as a whole"
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"{path} cannot be read and written by this user"
    return ""


def _of_plugins(view: View) -> Iterator[str]:
    for plugin in view.gateway.registry.listing():
        if plugin.state == "broken":
            yield f"the plug-in {plugin.name} ({plugin.distribution}) is broken: {plugin.reason}"


FINDERS: tuple[Callable[[View], Iterable[str]], ...] = (
    _of_keys,
    _of_key_models,
    _of_targets,
    _of_repeats,
    _of_route_names,
    _of_recovery,
    _of_defaults,
    _of_client_keys,
    _of_forbidden_routes,
    _of_address,
    _of_guards,
    _of_files,
    _of_plugins,
)


def _matched(pattern: str, names: Iterable[str]) -> bool:
    if pattern.endswith("*"):
        return any(name.startswith(pattern[:-1]) for name in names)
    return pattern in names


def _near(name: str, names: Iterable[str]) -> str:
    found = get_close_matches(name[:128], list(names), 1, 0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
