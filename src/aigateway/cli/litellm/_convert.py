"""Put a configuration together from what was read, and write it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import reduce
from math import gcd
from typing import Any

from .._toml import comment, header, line
from ._models import Deployment, Models, Provider
from ._notes import REFERENCE, Notes, Variables
from ._settings import Options, read_options

__all__ = ["Converted", "convert"]


@dataclass
class Route:
    """One table of routes."""

    targets: list[Any]
    policy: str = "priority"
    of: str = ""  # the group it is a part of
    inner: bool = False


@dataclass
class Converted:
    """The text of a configuration, what was not taken over, and the variables it reads."""

    text: str
    notes: list[str]
    variables: list[str] = field(default_factory=list)


def convert(data: Mapping[str, Any], environ: Mapping[str, str], available: Mapping[str, Collection[str]]) -> Converted:
    """Convert LiteLLM's configuration; `available` lists by kind (provider, guard, state) what can be named here."""
    notes = Notes()
    variables = Variables(notes, environ, set(_referred(data)))
    options = read_options(data, notes, variables, available)
    models = Models(notes, variables, available["provider"])
    models.read(data.get("model_list"), _credentials(data.get("credential_list")))
    made = _Routes(models, options, notes)
    routes = made.build()
    if not models.providers:
        notes.add("model_list: nothing in it can be asked here. Add [providers.NAME] yourself.")
    anything = made.anything if models.wild else ""
    text = "\n".join([*_top(anything), *_tables(models, routes), *_rest(options), *_not_taken(notes)]) + "\n"
    return Converted(text, notes.lines, list(variables.needed))


def _referred(value: object) -> Iterator[str]:
    """Find the variables the old file reads; their names are taken."""
    if isinstance(value, str) and (found := REFERENCE.fullmatch(value.strip())):
        yield found[1]
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _referred(part)


def _credentials(entries: object) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for entry in entries if isinstance(entries, list) else ():
        values = entry.get("credential_values") if isinstance(entry, dict) else None
        if isinstance(values, dict):
            found[str(entry.get("credential_name"))] = values
    return found


class _Routes:
    """Make routes of groups of deployments, their fallbacks and their other names."""

    def __init__(self, models: Models, options: Options, notes: Notes) -> None:
        self._models = models
        self._options = options
        self._notes = notes
        self.routes: dict[str, Route] = {}

    def build(self) -> dict[str, Route]:
        """Give the routes by name."""
        groups = self._models.groups
        chains = {name: self._chain(name) for name in groups}
        referred = {*self._options.aliases.values(), *(other for chain in chains.values() for other in chain)}
        inner = referred | {name for name, chain in chains.items() if chain}
        own = {name: self._own(name, group, alone=name not in inner) for name, group in groups.items()}
        for name, chain in chains.items():
            if name in inner and (chain or own[name] != name):
                self.routes[name] = Route([own[name], *(own[other] for other in chain)])
        for alias, name in self._options.aliases.items():
            if name in own and alias not in groups:
                self.routes[alias] = Route([own[name], *(own[other] for other in chains[name])])
            else:
                self._notes.add(f"router_settings.model_group_alias: {alias!r} stands for nothing that was taken over.")
        if self._models.wild:
            self.routes[self.anything] = self._balanced(self._models.wild, self.anything)
        place = {name: index for index, name in enumerate(groups)}
        ordered = sorted(
            self.routes, key=lambda name: (place.get(self.routes[name].of or name, len(place)), -len(name))
        )
        return {name: self.routes[name] for name in ordered}  # a group's inner routes before its own

    @property
    def anything(self) -> str:
        """Name the route that every other name goes to."""
        return next(name for name in ("any", "any-model", "any-model-at-all") if name not in self._models.groups)

    def _chain(self, name: str) -> list[str]:
        """List where a group goes on; each name once, and itself never."""
        wanted = dict.fromkeys([*self._options.fallbacks.get(name, []), *self._options.default_fallbacks])
        for other in wanted:
            if other not in self._models.groups:
                self._notes.add(f"fallbacks: {name!r} cannot go on to {other!r}, which was not taken over.")
        return [other for other in wanted if other in self._models.groups and other != name]

    def _own(self, name: str, group: list[Deployment], *, alone: bool) -> Any:
        """Give what a group stands for by itself: one target, or the name of a route over several.

        Where others refer to it, that route has a name no model has: a target of that name could be either.
        """
        tiers: dict[float, list[Deployment]] = {}
        for made in group:
            tiers.setdefault(made.order, []).append(made)
        steps = [self._balanced(tiers[order], name) for order in sorted(tiers)]
        targets = [step.targets[0] if len(step.targets) == 1 else step for step in steps if step.targets]
        if len(targets) == 1 and not isinstance(targets[0], Route):
            if alone and targets[0] != name:  # that name is a pin already
                self.routes[name] = Route(targets)
            return targets[0]
        mine = name if alone else self._free(f"{name}-alone")
        if len(targets) == 1:
            self.routes[mine] = replace(targets[0], of=name, inner=not alone)
            return mine
        self.routes[mine] = Route([self._named(target, name) for target in targets], of=name, inner=not alone)
        return mine

    def _named(self, target: Any, group: str) -> Any:
        """Give a balanced step of a route a route of its own."""
        if not isinstance(target, Route):
            return target
        name = self._free(f"{group}-balanced")
        self.routes[name] = replace(target, of=group, inner=True)
        return name

    def _free(self, name: str) -> str:
        taken = {*self.routes, *self._models.groups}
        numbers = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
        return next(found for found in numbers if found not in taken)

    def _balanced(self, tier: list[Deployment], name: str) -> Route:
        """Make one target of deployments that differ by their key only; the key ring tells those apart."""
        found: dict[str, Deployment] = {}
        weights: dict[str, float] = {}
        weighing = [made for made in tier if made.weight] or tier
        if len(weighing) < len(tier):
            self._notes.add(f"model_list ({name}): deployments with the weight 0 are left out of the route.")
        for made in weighing:
            found.setdefault(made.target, made)
            weights[made.target] = weights.get(made.target, 0.0) + made.weight
        counts = self._options.policy in {"weighted", "least_busy"}
        whole = whole_numbers(weights) if counts else dict.fromkeys(weights, 1)
        targets = [_target(made, whole[target]) for target, made in found.items()]
        return Route(targets, self._options.policy if len(targets) > 1 else "priority")


def _target(made: Deployment, weight: int) -> Any:
    more: dict[str, Any] = {"weight": weight} if weight != 1 else {}
    if made.timeouts:
        more["timeouts"] = made.timeouts
    return {"to": made.target, **more} if more else made.target


def whole_numbers(weights: Mapping[str, float]) -> dict[str, int]:
    """Give weights as the smallest whole numbers that stand as they do to each other, to about a hundredth."""
    if not weights:
        return {}
    least = min((weight for weight in weights.values() if weight > 0), default=1.0)
    shares = {name: Fraction(weight / least).limit_denominator(20) for name, weight in weights.items()}
    scale = reduce(lambda a, b: a * b // gcd(a, b), (share.denominator for share in shares.values()), 1)
    numbers = {name: max(1, int(share * min(scale, 1000))) for name, share in shares.items()}
    common = reduce(gcd, numbers.values())
    return {name: number // common for name, number in numbers.items()}


# -- the file -----------------------------------------------------------------------------------


def _top(anything: str) -> Iterator[str]:
    yield "# Converted from LiteLLM's config.yaml. `aigateway check` reads it and sends nothing."
    if anything:
        yield line("default_model", anything)
        yield line("unknown_models", "default") + "  # it answers for every other name, too"


def _tables(models: Models, routes: Mapping[str, Route]) -> Iterator[str]:
    for provider in models.providers.values():
        yield from ("", *_provider(provider))
    for target, facts in models.facts.items():
        yield from ("", header("models", target))
        if target.partition("/")[0] in models.catalogued:
            yield line("new", True) + "  # where the plug-in does not have it"
        yield from (line(name, value) for name, value in facts.items())
    for name, route in routes.items():
        yield from ("", header("routes", name))
        if route.inner:
            yield comment("asked for by the routes around it; clients need not know it")
        if route.policy != "priority":
            yield line("policy", route.policy)
        yield line("targets", route.targets)


def _not_taken(notes: Notes) -> Iterator[str]:
    if notes.lines:
        yield from ("", "# What became of the rest of the old file:")
    yield from (comment(f"- {note}") for note in notes.lines)


def _provider(provider: Provider) -> Iterator[str]:
    yield header("providers", provider.name)
    if provider.type != provider.name:
        yield line("type", provider.type)
    if provider.base_url:
        yield line("base_url", provider.base_url)
    if provider.organization:
        yield line("organization", provider.organization)
    if provider.keys:
        yield line("keys", list(_keys(provider)))
    weights = {use.weight for use in provider.keys.values()}
    if len(weights) > 1:
        yield line("rotation", "weighted")


def _keys(provider: Provider) -> Iterator[dict[str, Any]]:
    """Write the keys; several are accounts of their own, each for the models it was listed with."""
    whole = whole_numbers({name: use.weight for name, use in provider.keys.items()})
    for reference, use in provider.keys.items():
        key: dict[str, Any] = {"secret": reference}
        if len(provider.keys) > 1:
            key["quota_group"] = reference.removeprefix("env:")
            if use.models < provider.models and "*" not in use.models:
                key["models"] = sorted(use.models)
        if whole[reference] != 1:
            key["weight"] = whole[reference]
        if use.concurrency > 0:
            key["concurrency"] = use.concurrency
        yield key


def _rest(options: Options) -> Iterator[str]:
    for name, table in (("retries", options.retries), ("timeouts", options.timeouts)):
        if table:
            yield from ("", header(name), *(line(setting, value) for setting, value in table.items()))
    for guard in options.guards:
        yield from ("", header("guards", many=True), *(line(setting, value) for setting, value in guard.items()))
    if options.master:
        yield from ("", header("callers", "keys", many=True), line("name", "operator"))
        yield from (line("secret", options.master), line("scopes", ["chat", "admin"]))
    if options.redis:
        yield from ("", header("state"), line("url", options.redis))
