"""Routes as trees: what an entry names is found, and what cannot be meant is refused with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from ..errors import ConfigurationError
from ..routing import Branch
from ..types import Shadow, Target, Timeouts
from ._routes import TargetSettings, TimeoutSettings
from ._settings import Settings

__all__ = ["Trees"]

# Targets of one route, those of routes inside of it included, and routes inside of each other.
MOST, DEEPEST = 1000, 16
Catalogue = Mapping[str, Mapping[str, Any]]


class Trees:
    """Find what every entry of every route leads to. Raises ConfigurationError with the place of what is wrong."""

    def __init__(self, settings: Settings, catalogue: Catalogue, base: Timeouts) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._base = base
        self._found = 0  # targets of the tree that is being made

    def all(self) -> dict[str, Branch]:
        """Give every route as a tree."""
        return {name: self.tree(name) for name in self._settings.routes}

    def tree(self, name: str) -> Branch:
        """Give one route as a tree."""
        self._found = 0
        return Branch(name, tuple(self._members((name,), self._base, ())))

    def shadow(self, name: str) -> Shadow | None:
        """Give where copies of a route's requests go."""
        table = self._settings.routes[name].shadow
        if table is None:
            return None
        if table.to in self._settings.routes:
            raise self._wrong(name, ("shadow",), f"copies to {table.to!r}, which is a route. Name one target")
        target = self._placed(table.to, name, ("shadow",))
        return Shadow(Target(*target, timeouts=self._base), table.share, table.in_flight, table.timeout)

    def _members(
        self, path: tuple[str, ...], inherited: Timeouts, laid_over: tuple[TimeoutSettings, ...]
    ) -> Iterator[Target | Branch]:
        """Give the members of the route at the end of a path.

        What is not given is inherited from the route around it; what an entry says of a route goes
        before what is said inside of it.
        """
        route = self._settings.routes[path[-1]]
        limits = route.timeouts.over(inherited)
        for index, entry in enumerate(route.targets):
            when, over = entry.when.build() if entry.when else None, (entry.timeouts, *laid_over)
            if self._is_route(entry, path, index):
                members = tuple(self._members((*path, entry.to), limits, over))
                yield Branch(entry.to, members, entry.weight, when)
                continue
            self._found += 1
            if self._found > MOST:  # at once: routes in routes make them by millions
                raise self._wrong(path[0], (), f"leads to more than {MOST:,} targets. Nest fewer routes")
            timeouts = limits
            for table in over:
                timeouts = table.over(timeouts)
            target = Target(*self._placed(entry.to, path[-1], ("targets", index)), entry.weight, timeouts)
            yield target if when is None else Branch("", (target,), entry.weight, when)

    def _is_route(self, entry: TargetSettings, path: tuple[str, ...], index: int) -> bool:
        """Tell whether an entry is a route. Raises ConfigurationError when it leads back, or may be a model as well."""
        name, here, place = entry.to, path[-1], ("targets", index)
        if name not in self._settings.routes:
            return False
        owners = self._owners(name)
        if name == here and (owners or name.partition("/")[0] in self._catalogue):
            return False  # a route of the name of a model, which it cannot mean itself
        if name in path:
            way = " -> ".join([*path[path.index(name) :], name])
            raise self._wrong(here, place, f"leads back to where it came from: {way}. Take one of them out")
        if owners:
            either = f"has the target {name!r}, which is a route and a model of {owners[0]!r} as well"
            model = name if name.startswith(f"{owners[0]}/") else f"{owners[0]}/{name}"
            way_on = "Rename the route" if model == name else f"Write {model!r} for the model, or rename the route"
            raise self._wrong(here, place, f"{either}. {way_on}")
        if len(path) >= DEEPEST:
            raise self._wrong(here, place, f"is the {DEEPEST}th route inside of another. Nest fewer")
        return True

    def _owners(self, name: str) -> list[str]:
        """Name the providers that have a model of this name in their catalogue."""
        provider, _, model = name.partition("/")
        if model in self._catalogue.get(provider, ()):
            return [provider]
        return [owner for owner in self._catalogue if name in self._catalogue[owner]]

    def _placed(self, name: str, route: str, place: Sequence[str | int]) -> tuple[str, str]:
        """Find the provider of a target."""
        provider, slash, model = name.partition("/")
        if slash:
            if provider in self._catalogue:
                return provider, model
            near = get_close_matches(provider, self._settings.providers, 1, 0.5)
            hint = f"Did you mean {near[0]!r}?" if near else f"There is: {', '.join(self._settings.providers)}."
            what = f"has the target {name!r}, but no provider {provider!r} is configured"
            raise self._wrong(route, place, f"{what}. {hint}")
        owners = self._owners(name)
        if not owners:
            near = get_close_matches(name, self._settings.routes, 1, 0.6)
            hint = f", or did you mean the route {near[0]!r}?" if near else ""
            what = f"has the target {name!r}, which is no route and which no configured provider has in its catalogue"
            raise self._wrong(route, place, f"{what}. Write it as provider/model{hint or '.'}", end="")
        return owners[0], name

    def _wrong(self, route: str, place: Sequence[str | int], what: str, end: str = ".") -> ConfigurationError:
        return ConfigurationError(
            f"{self._settings.locate('routes', route, *place)}: routes.{route} {what}"
            f"{'' if what.endswith(('?', '.')) else end}"
        )
