"""From the name a caller wrote to the targets it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches
from typing import Literal

from ..errors import Forbidden, RequestError, UnknownModel
from ..types import ANYWHERE, IN_PROCESS, Caller, Drop, ModelInfo, Routing, Target, Terms
from ._tree import Branch, pruned, replanted, without_repeats

__all__ = ["PATTERNS", "SORTED", "SUFFIXES", "Names", "Resolved", "Rules"]

# A vendor named inside a model name, any case; the id itself is never changed.
PATTERNS = (
    (re.compile("deepseek", re.IGNORECASE), "deepseek"),
    (re.compile("minimax|abab", re.IGNORECASE), "minimax"),
    (re.compile("gpt|openai", re.IGNORECASE), "openai"),
)
# What may follow a name that is not known with it, and the order it asks for.
SUFFIXES = {":floor": "price", ":nitro": "throughput"}
SORTED = {"price": "the cheapest first", "throughput": "the most tokens a second first"}
PLAIN = Terms()
# It is leave to go on, no condition: a request that can be answered is answered.
NO_FALLBACK = "'routing.fallback' is true, but no fallback is configured: nobody else is asked for it"
Catalogue = Mapping[str, Mapping[str, ModelInfo]]
# Names callers sent, kept for a day: what a name means changes with the date only.
REMEMBERED = 2048
LONGEST_REMEMBERED = 128
# The same for names together with what a request and a key say of them: each holds a tree of its own.
REMEMBERED_WAYS, LONGEST_WAY = 256, 1024
# Names a misspelt one is compared with: vendors list thousands, and every call would wait.
COMPARED = 2000
# A request names no longer one (types/request); what follows a name is taken off by recursion.
LONGEST = 512


@dataclass(frozen=True, slots=True)
class Rules:
    """What to do with names nothing knows; where named models go on when they fail; on which terms they are asked."""

    default_model: str = ""
    unknown: Literal["refuse", "default"] = "refuse"
    fallback: str = ""
    terms: Terms = PLAIN


@dataclass(slots=True)
class Resolved:
    """Targets in order, what the name is (the end of a sentence), what people should know, the terms of the name.

    `groups` are the same targets as trees, one for each name; `dropped` are those that the caller's
    allow-list or the request's `routing` left out.
    """

    how: str
    targets: list[Target]
    warnings: list[str] = field(default_factory=list)
    pinned: bool = False
    is_route: bool = False
    stands_for: str = ""  # what answers instead of a name nothing knows, or that has a suffix
    terms: Terms = PLAIN
    groups: list[Branch] = field(default_factory=list)
    dropped: list[Drop] = field(default_factory=list)
    repeats: bool = False  # whether a target stands in the groups twice


class Names:
    """Resolve model names; the first match wins: route, known pin, catalogue id, pin, vendor pattern.

    `routes` lists the targets of each route, `trees` how they hang together.
    """

    def __init__(
        self,
        routes: Mapping[str, Sequence[Target] | Branch],
        catalogue: Catalogue,
        rules: Rules,
        terms: Mapping[str, Terms] | None = None,
    ) -> None:
        self._terms = terms or {}
        trees = {n: r if isinstance(r, Branch) else Branch(n, tuple(r)) for n, r in routes.items()}
        self.trees = {name: _under(tree, self._terms.get(name)) for name, tree in trees.items()}
        self.routes = {name: tuple(_unique(tree.targets())) for name, tree in self.trees.items()}
        self.catalogue = catalogue
        self.rules = rules
        self._day: date | None = None
        self._known_names: dict[str, Resolved] = {}
        self._known_ways: dict[tuple[object, ...], Resolved] = {}
        self._known_routes: dict[str, Resolved] = {}

    def resolve(self, model: str, routing: Routing, *, today: date, caller: Caller = IN_PROCESS) -> Resolved:
        """Give the targets of a request.

        Raises UnknownModel, RequestError when `routing` leaves none, Forbidden when `caller.models` does.
        """
        if self._day != today or len(self._known_names) >= REMEMBERED or len(self._known_ways) >= REMEMBERED_WAYS:
            self._day, self._known_names, self._known_ways, self._known_routes = today, {}, {}, {}
        if routing is ANYWHERE and not caller.models:
            found = self._known_names.get(model)
            if found is None:
                found = self._resolve(model, routing, today, caller)
                if len(model) <= LONGEST_REMEMBERED:
                    self._known_names[model] = found
            return found
        lists = (routing.models, routing.only, routing.ignore, routing.order, caller.models)
        asked = (model, routing.fallback, *lists)
        ways = self._known_ways.get(asked)
        if ways is None:
            ways = self._resolve(model, routing, today, caller)
            if len(model) + sum(len(name) for names in lists for name in names) <= LONGEST_WAY:
                self._known_ways[asked] = ways
        return ways

    def _resolve(self, model: str, routing: Routing, today: date, caller: Caller) -> Resolved:
        wanted = [model] if model else [] if routing.models else [self.rules.default_model]
        names = [*wanted, *routing.models]
        found = [self._one(name, today, caller) for name in names]
        if self._goes_on(found[0], routing):
            names.append(self.rules.fallback)
            found.append(self._route(self.rules.fallback, today))
        warnings = [warning for part in found for warning in part.warnings]
        if routing.fallback and not self.rules.fallback and not found[0].is_route:
            warnings.append(NO_FALLBACK)
        how = "; then ".join(dict.fromkeys(part.how for part in found))
        whole = Resolved(how, [], warnings, terms=found[0].terms)
        groups = [branch for part in found for branch in part.groups]
        if caller.models:
            asked = [part.stands_for or name for name, part in zip(names, found, strict=True)]
            groups = [_open_to(caller, branch, name, whole) for branch, name in zip(groups, asked, strict=True)]
            # What is fallen back on answers for a model that may be asked, not for one that may not.
            if not any(branch.members for branch in groups[: len(wanted) + len(routing.models)]):
                may = ", ".join(caller.models)[:256]
                raise Forbidden(f"this key may not use {names[0][:128]!r}. It may use: {may}.")
        self._check_names(routing, groups, caller)
        whole.groups = _first_of_each(_allowed(groups, routing, whole))
        targets = [target for branch in whole.groups for target in branch.targets()]
        whole.targets = _unique(targets)
        whole.repeats = len(whole.targets) < len(targets)
        return whole

    def reachable(self, route: str, *, today: date, caller: Caller) -> list[Target]:
        """List what a caller may reach by the name of a route; nothing where the route is not for them."""
        tree, dropped = self._route(route, today).groups[0], Resolved("", [])
        return _unique((_open_to(caller, tree, route, dropped) if caller.models else tree).targets())

    def _check_names(self, routing: Routing, groups: list[Branch], caller: Caller) -> None:
        """Refuse to choose by a provider that is not there. Raises RequestError."""
        for field_name, listed in routing.names.items():
            for name in listed:
                if name.partition("/")[0] not in self.catalogue:
                    what = f"'routing.{field_name}' names {name[:128]!r}, which is no provider here"
                    would = f"These would do: {_listed(groups)}."
                    near = "" if caller.models else f" {self._nearest_provider(name)}"
                    raise RequestError(f"{what}.{near} {would}", param=f"routing.{field_name}")

    def _nearest_provider(self, name: str) -> str:
        targets = [str(target) for targets in self.routes.values() for target in targets]
        known = [name for name in self._askable(IN_PROCESS) if "/" in name]
        near = [target for target in [*targets, *known] if target.endswith(f"/{name}")]
        near = near or get_close_matches(name[:128], [*self.catalogue, *targets, *known], 1, 0.6)
        return f"Did you mean {near[0]!r}?" if near else f"There is: {', '.join(self.catalogue)}."

    def _goes_on(self, first: Resolved, routing: Routing) -> bool:
        if not self.rules.fallback or first.is_route or routing.fallback is False:
            return False
        return routing.fallback is True or not first.pinned

    def _one(self, name: str, today: date, caller: Caller = IN_PROCESS) -> Resolved:
        if not name:
            raise RequestError(
                "no model was named and no default_model is configured. Name a model.", param="model", status=400
            )
        if name in self.routes:
            return self._route(name, today)
        provider, slash, rest = name.partition("/")
        if slash and rest in self.catalogue.get(provider, ()):
            return self._found(Target(provider, rest), f"pinned to the provider {provider!r}", today, pinned=True)
        owner = self.owner(name)
        if owner:
            return self._found(Target(owner, name), f"in the catalogue of {owner!r}", today)
        suffix = name[-6:]
        if suffix in SUFFIXES and len(suffix) < len(name) <= LONGEST:
            return self._sorted(name, suffix, today, caller)
        if slash and provider in self.catalogue:
            return self._found(Target(provider, rest), f"pinned to the provider {provider!r}", today, pinned=True)
        for pattern, vendor in PATTERNS:
            if vendor in self.catalogue and pattern.search(name[:256]):
                found = self._found(Target(vendor, name), f"by its name a model of {vendor!r}", today)
                found.warnings.append(f"{name[:128]!r} is not in the catalogue of {vendor!r}; it is asked as it is")
                return found
        return self._unknown(name, today, caller)

    def forget(self) -> None:
        """Look names up again: the catalogue has changed."""
        self._known_names, self._known_ways, self._known_routes = {}, {}, {}

    def owner(self, name: str) -> str:
        """Find who has a model; who described it goes before who merely lists it."""
        owners = [owner for owner, models in self.catalogue.items() if name in models]
        return next((owner for owner in owners if self.catalogue[owner][name].is_described), (*owners, "")[0])

    def _sorted(self, name: str, suffix: str, today: date, caller: Caller) -> Resolved:
        """Take a name without its suffix, which says what goes before every policy."""
        stem, sort = name.removesuffix(suffix), SUFFIXES[suffix]
        found = self._one(stem, today, caller)
        groups = [Branch(branch.route, branch.members, sort=sort) for branch in found.groups]
        how = f"{found.how}, {SORTED[sort]}"
        return replace(found, how=how, groups=groups, stands_for=found.stands_for or stem)

    def _route(self, name: str, today: date) -> Resolved:
        known = self._known_routes.get(name)
        if known is None:
            warnings: list[str] = []

            def living(target: Target) -> Target:
                heir, said = self._heir(target, today)
                warnings.extend(said)
                return heir

            tree = replanted(self.trees[name], living)
            terms = self._terms.get(name, self.rules.terms)
            known = Resolved(f"the route {name!r}", [*tree.targets()], is_route=True, terms=terms)
            known.warnings, known.groups = list(dict.fromkeys(warnings)), [tree]
            self._known_routes[name] = known
        return replace(known, warnings=[*known.warnings])

    def _found(self, target: Target, how: str, today: date, *, pinned: bool = False) -> Resolved:
        """Take a target as it is, or its successor when it is retired."""
        heir, warnings = self._heir(target, today)
        heir = replace(heir, terms=self.rules.terms)
        return Resolved(how, [heir], warnings, pinned, terms=heir.terms or PLAIN, groups=[Branch("", (heir,))])

    def _heir(self, target: Target, today: date) -> tuple[Target, list[str]]:
        """Take who answers for a model today: its successor, or that one's when it is retired as well."""
        table = self.catalogue.get(target.provider, {})
        info = table.get(target.model)
        if info is None or (info.successor is None and info.shutdown is None):
            return target, []
        heir, met = target, {target.model}
        while info is not None and info.successor is not None and (info.shutdown is None or info.shutdown <= today):
            if info.successor in met:
                break
            heir = replace(heir, model=info.successor, params={**info.successor_params, **heir.params})
            met.add(heir.model)
            info = table.get(heir.model)
        if heir is not target:
            return heir, [f"{target} is retired; {heir} answers instead"]
        return target, _ending(target, info, today)

    def _unknown(self, name: str, today: date, caller: Caller) -> Resolved:
        default = self.rules.default_model
        if self.rules.unknown == "default" and default and _stem(default) != name:
            found = self._one(default, today, caller)
            found.warnings.append(f"the model {name[:128]!r} is not known here; {default!r} answers instead")
            found.stands_for = default
            found.how = f"not known here, so the default {default!r} stands in"
            return found
        raise UnknownModel(f"the model {name[:128]!r} is not known here. {self._nearest(name, caller)}", param="model")

    def _nearest(self, name: str, caller: Caller) -> str:
        near = get_close_matches(name[:128], self._askable(caller), 3, 0.5)
        if near:
            return f"Did you mean {' or '.join(map(repr, near))}?"
        routes = [route for route in self.routes if caller.may_use(route)]
        return f"Routes: {', '.join(routes) or 'none'}; GET /v1/models or `aigateway models` lists all."

    def _askable(self, caller: Caller) -> list[str]:
        """Give the names a caller may be told of, routes first, described models before those that are only listed."""
        known = [route for route in self.routes if caller.may_use(route)]
        for described in (True, False):
            for provider, models in self.catalogue.items():
                for model, info in models.items():
                    if len(known) >= COMPARED:
                        return known
                    if info.is_described is described and caller.may_use(model, f"{provider}/{model}"):
                        known += (model, f"{provider}/{model}")
        return known


def _under(tree: Branch, terms: Terms | None) -> Branch:
    """Note at each target of a route on which terms it is asked."""
    return replanted(tree, lambda target: replace(target, terms=terms)) if terms is not None else tree


def _open_to(caller: Caller, branch: Branch, name: str, whole: Resolved) -> Branch:
    """Leave out what a caller's allow-list names neither itself nor by a route it is in."""

    def open_to(target: Target, path: tuple[str, ...]) -> bool:
        if caller.may_use(name, *path, str(target), target.model):
            return True
        whole.dropped.append(Drop(str(target), "not_allowed", "this key may not use it"))
        return False

    return pruned(branch, open_to)


def _allowed(groups: list[Branch], routing: Routing, whole: Resolved) -> list[Branch]:
    """Leave out what the request does not want. Raises RequestError when nothing is left."""
    if not routing.only and not routing.ignore:
        return groups

    def wanted(target: Target, path: tuple[str, ...]) -> bool:
        names = {target.provider, str(target)}
        code = "ignore" if not names.isdisjoint(routing.ignore) else ""
        code = code or ("only" if routing.only and names.isdisjoint(routing.only) else "")
        if code:
            what = "names it" if code == "ignore" else "does not name it"
            whole.dropped.append(Drop(str(target), code, f"'routing.{code}' {what}"))
        return not code

    kept = [pruned(branch, wanted) for branch in groups]
    if not any(branch.members for branch in kept):
        raise RequestError(
            f"'routing' leaves no target: {_listed(groups)} would do. Widen only, or shorten ignore.", param="routing"
        )
    return kept


def _ending(target: Target, info: ModelInfo | None, today: date) -> list[str]:
    """Say when a model that still answers itself is switched off."""
    if info is None or info.shutdown is None:
        return []
    return [f"{target} {'was to' if info.shutdown <= today else 'will'} be switched off on {info.shutdown}"]


def _stem(name: str) -> str:
    """Take off a name what may follow it."""
    while name[-6:] in SUFFIXES and len(name) > 6:
        name = name[:-6]
    return name


def _first_of_each(groups: list[Branch]) -> list[Branch]:
    """Leave out of each group what a group before it has; and groups that are empty then."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for branch in groups:
        rest = without_repeats(branch, seen)
        seen.update((target.provider, target.model) for target in rest.targets())
        if rest.members:
            kept.append(rest)
    return kept


def _listed(groups: list[Branch]) -> str:
    return ", ".join(map(str, _unique(target for branch in groups for target in branch.targets())))[:1024]


def _unique(targets: Iterable[Target]) -> list[Target]:
    seen: dict[tuple[str, str], Target] = {}
    for target in targets:
        seen.setdefault((target.provider, target.model), target)
    return list(seen.values())
