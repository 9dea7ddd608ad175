"""From the name a caller wrote to the targets it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches
from itertools import groupby
from typing import Literal

from ..errors import Forbidden, RequestError, UnknownModel
from ..types import IN_PROCESS, Caller, ModelInfo, Routing, Target, Terms

__all__ = ["Names", "Resolved", "Rules"]

# A vendor named inside a model name, any case; the id itself is never changed.
PATTERNS = (
    (re.compile("deepseek", re.IGNORECASE), "deepseek"),
    (re.compile("minimax|abab", re.IGNORECASE), "minimax"),
    (re.compile("gpt|openai", re.IGNORECASE), "openai"),
)
Catalogue = Mapping[str, Mapping[str, ModelInfo]]
ANYWHERE = Routing()
# Names callers sent, kept for a day: what a name means changes with the date only.
REMEMBERED = 2048
LONGEST_REMEMBERED = 128


@dataclass(frozen=True, slots=True)
class Rules:
    """What to do with names nothing knows, and where named models go on when they fail."""

    default_model: str = ""
    unknown: Literal["refuse", "default"] = "refuse"
    fallback: str = ""


@dataclass(slots=True)
class Resolved:
    """Targets in order, what the name is (the end of a sentence), what people should know, the first route's terms.

    `groups` are the same targets by the route they come from, whose policy orders them; "" for a
    name that is no route.
    """

    how: str
    targets: list[Target]
    warnings: list[str] = field(default_factory=list)
    pinned: bool = False
    is_route: bool = False
    stands_for: str = ""  # what answers instead of a name nothing knows
    terms: Terms | None = None
    groups: list[tuple[str, list[Target]]] = field(default_factory=list)


class Names:
    """Resolve model names; the first match wins: route, known pin, catalogue id, pin, vendor pattern."""

    def __init__(
        self,
        routes: Mapping[str, Sequence[Target]],
        catalogue: Catalogue,
        rules: Rules,
        terms: Mapping[str, Terms] | None = None,
    ) -> None:
        self.routes = routes
        self.catalogue = catalogue
        self.rules = rules
        self._terms = terms or {}
        self._day: date | None = None
        self._known_names: dict[str, Resolved] = {}

    def resolve(self, model: str, routing: Routing, *, today: date, caller: Caller = IN_PROCESS) -> Resolved:
        """Give the targets of a request.

        Raises UnknownModel, RequestError when `routing` leaves none, Forbidden when `caller.models` does.
        """
        if routing != ANYWHERE or caller.models:
            return self._resolve(model, routing, today, caller)
        if self._day != today or len(self._known_names) >= REMEMBERED:
            self._day, self._known_names = today, {}
        found = self._known_names.get(model)
        if found is None:
            found = self._resolve(model, routing, today, caller)
            if len(model) <= LONGEST_REMEMBERED:
                self._known_names[model] = found
        return found

    def _resolve(self, model: str, routing: Routing, today: date, caller: Caller) -> Resolved:
        wanted = [model] if model else [] if routing.models else [self.rules.default_model]
        names = [*wanted, *routing.models]
        found = [self._one(name, today) for name in names]
        if self._goes_on(found[0], routing):
            names.append(self.rules.fallback)
            found.append(self._route(self.rules.fallback, today))
        home: dict[Target, str] = {}
        for asked, part in zip(names, found, strict=True):
            name = part.stands_for or asked
            for target in part.targets:
                if caller.may_use(name) or caller.may_use(str(target), target.model):
                    home.setdefault(target, name if part.is_route else "")
        targets = list(home)
        if not targets:
            raise Forbidden(f"this key may not use {names[0][:128]!r}. It may use: {', '.join(caller.models)[:256]}.")
        warnings = [warning for part in found for warning in part.warnings]
        how = "; then ".join(dict.fromkeys(part.how for part in found))
        terms = next((part.terms for part in found if part.terms), None)
        targets = self._allowed(_without_repeats(targets), routing)
        groups = [(name, list(group)) for name, group in groupby(targets, key=lambda target: home[target])]
        return Resolved(how, targets, warnings, terms=terms, groups=groups)

    def _goes_on(self, first: Resolved, routing: Routing) -> bool:
        if not self.rules.fallback or first.is_route or routing.fallback is False:
            return False
        return routing.fallback is True or not first.pinned

    def _one(self, name: str, today: date) -> Resolved:
        if not name:
            raise RequestError(
                "no model was named and no default_model is configured. Name a model.", param="model", status=400
            )
        if name in self.routes:
            return self._route(name, today)
        provider, slash, rest = name.partition("/")
        if slash and rest in self.catalogue.get(provider, ()):
            return self._found(Target(provider, rest), f"pinned to the provider {provider!r}", today, pinned=True)
        owner = self._owner(name)
        if owner:
            return self._found(Target(owner, name), f"in the catalogue of {owner!r}", today)
        if slash and provider in self.catalogue:
            return self._found(Target(provider, rest), f"pinned to the provider {provider!r}", today, pinned=True)
        for pattern, vendor in PATTERNS:
            if vendor in self.catalogue and pattern.search(name[:256]):
                found = self._found(Target(vendor, name), f"by its name a model of {vendor!r}", today)
                found.warnings.append(f"{name[:128]!r} is not in the catalogue of {vendor!r}; it is asked as it is")
                return found
        return self._unknown(name, today)

    def forget(self) -> None:
        """Look names up again: the catalogue has changed."""
        self._known_names = {}

    def _owner(self, name: str) -> str:
        """Find who has a model; who described it goes before who merely lists it."""
        owners = [owner for owner, models in self.catalogue.items() if name in models]
        return next((owner for owner in owners if self.catalogue[owner][name].is_described), (*owners, "")[0])

    def _route(self, name: str, today: date) -> Resolved:
        found = [self._found(target, "", today) for target in self.routes[name]]
        warnings = [warning for part in found for warning in part.warnings]
        targets = [part.targets[0] for part in found]
        return Resolved(f"the route {name!r}", targets, warnings, is_route=True, terms=self._terms.get(name))

    def _found(self, target: Target, how: str, today: date, *, pinned: bool = False) -> Resolved:
        """Take a target as it is, or its successor when it is retired."""
        info = self.catalogue.get(target.provider, {}).get(target.model)
        if info is None or (info.successor is None and info.shutdown is None):
            return Resolved(how, [target], pinned=pinned)
        if info.successor is not None and (info.shutdown is None or info.shutdown <= today):
            heir = replace(target, model=info.successor, params=info.successor_params)
            return Resolved(how, [heir], [f"{target} is retired; {heir} answers instead"], pinned)
        if info.shutdown is not None and info.shutdown <= today:
            return Resolved(how, [target], [f"{target} was to be switched off on {info.shutdown}"], pinned)
        return Resolved(how, [target], [f"{target} will be switched off on {info.shutdown}"], pinned)

    def _unknown(self, name: str, today: date) -> Resolved:
        default = self.rules.default_model
        if self.rules.unknown == "default" and default and default != name:
            found = self._one(default, today)
            found.warnings.append(f"the model {name[:128]!r} is not known here; {default!r} answers instead")
            found.stands_for = default
            found.how = f"not known here, so the default {default!r} stands in"
            return found
        raise UnknownModel(f"the model {name[:128]!r} is not known here. {self._nearest(name)}", param="model")

    def _nearest(self, name: str) -> str:
        known = [*self.routes]
        for provider, models in self.catalogue.items():
            known += models
            known += [f"{provider}/{model}" for model in models]
        near = get_close_matches(name[:128], known, 3, 0.5)
        if near:
            return f"Did you mean {' or '.join(map(repr, near))}?"
        return f"Routes: {', '.join(self.routes) or 'none'}; GET /v1/models or `aigateway models` lists all."

    def _allowed(self, targets: list[Target], routing: Routing) -> list[Target]:
        def named(target: Target, names: Sequence[str]) -> bool:
            return target.provider in names or str(target) in names

        kept = [t for t in targets if (not routing.only or named(t, routing.only)) and not named(t, routing.ignore)]
        if not kept:
            raise RequestError(
                f"'routing' leaves no target: {', '.join(map(str, targets))} would do. Widen only, or shorten ignore.",
                param="routing",
            )
        return kept


def _without_repeats(targets: Sequence[Target]) -> list[Target]:
    seen: dict[tuple[str, str], Target] = {}
    for target in targets:
        seen.setdefault((target.provider, target.model), target)
    return list(seen.values())
