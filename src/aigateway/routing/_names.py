"""From the name a caller wrote to the targets it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from typing import Literal

from ..errors import RequestError, UnknownModel
from ..types import ModelInfo, Routing, Target

__all__ = ["Names", "Resolved", "Rules"]

# A vendor named inside a model name, any case; the id itself is never changed.
PATTERNS = (
    (re.compile("deepseek", re.IGNORECASE), "deepseek"),
    (re.compile("minimax|abab", re.IGNORECASE), "minimax"),
    (re.compile("gpt|openai", re.IGNORECASE), "openai"),
)
Catalogue = Mapping[str, Mapping[str, ModelInfo]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What to do with names nothing knows, and where named models go on when they fail."""

    default_model: str = ""
    unknown: Literal["refuse", "default"] = "refuse"
    fallback: str = ""


@dataclass(slots=True)
class Resolved:
    """Targets in order, how they were found (half a sentence), what people should know."""

    how: str
    targets: list[Target]
    warnings: list[str] = field(default_factory=list)
    pinned: bool = False
    is_route: bool = False


class Names:
    """Resolve model names; the first match wins: route, known pin, catalogue id, pin, vendor pattern."""

    def __init__(self, routes: Mapping[str, Sequence[Target]], catalogue: Catalogue, rules: Rules) -> None:
        self.routes = routes
        self.catalogue = catalogue
        self.rules = rules

    def resolve(self, model: str, routing: Routing, *, today: date) -> Resolved:
        """Give the targets of a request. Raises UnknownModel, or RequestError when `routing` leaves none."""
        wanted = [model] if model else [] if routing.models else [self.rules.default_model]
        found = [self._one(name, today) for name in (*wanted, *routing.models)]
        first = found[0]
        resolved = Resolved(first.how, [], pinned=first.pinned)
        for part in found:
            resolved.targets += part.targets
            resolved.warnings += part.warnings
        if self._goes_on(first, routing):
            resolved.targets += self.routes[self.rules.fallback]
            resolved.how += f"; the route {self.rules.fallback!r} follows"
        resolved.targets = self._allowed(_without_repeats(resolved.targets), routing)
        return resolved

    def _goes_on(self, first: Resolved, routing: Routing) -> bool:
        if not self.rules.fallback or first.is_route or routing.fallback is False:
            return False
        return routing.fallback is True or not first.pinned

    def _one(self, name: str, today: date) -> Resolved:
        if not name:
            raise RequestError(
                "no model was named and no default_model is configured. Name a model.", param="model", status=400
            )
        provider, slash, rest = name.partition("/")
        if name in self.routes:
            return Resolved(f"it is the route {name!r}", list(self.routes[name]), is_route=True)
        if slash and rest in self.catalogue.get(provider, ()):
            return self._known(provider, rest, today, pinned=True)
        for owner, models in self.catalogue.items():
            if name in models:
                return self._known(owner, name, today, pinned=False)
        if slash and provider in self.catalogue:
            return Resolved(f"it names the provider {provider!r}", [Target(provider, rest)], pinned=True)
        for pattern, vendor in PATTERNS:
            if vendor in self.catalogue and pattern.search(name[:256]):
                return Resolved(f"its name points to {vendor!r}", [Target(vendor, name)])
        return self._unknown(name, today)

    def _known(self, provider: str, model: str, today: date, *, pinned: bool) -> Resolved:
        info = self.catalogue[provider][model]
        how = f"it names the provider {provider!r}" if pinned else f"{provider!r} has it in its catalogue"
        if info.successor is not None and (info.shutdown is None or info.shutdown <= today):
            target = Target(provider, info.successor, params=info.successor_params)
            warning = f"{model} is retired; {target} answers instead"
            return Resolved(how, [target], [warning], pinned)
        warnings = [f"{provider}/{model} will be switched off on {info.shutdown}"] if info.shutdown else []
        return Resolved(how, [Target(provider, model)], warnings, pinned)

    def _unknown(self, name: str, today: date) -> Resolved:
        default = self.rules.default_model
        if self.rules.unknown == "default" and default and default != name:
            found = self._one(default, today)
            found.warnings.append(f"the model {name[:128]!r} is not known here; {default!r} answers instead")
            found.how = f"nothing has that name and {default!r} is the default"
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
