"""From a call to the candidates it is tried at: resolve the name, leave out, order; the trace is told why.

A dry run and a real call take the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from random import Random

from ..catalogue import cost_of, price_at, size_of
from ..errors import RequestError
from ..parts import Parts
from ..routing import Attempts, Branch, Needs, Orders, Passed, Resolved, Screen, one_space
from ..state import Health, Memory, Rest
from ..types import Call, Candidate, Clock, Cost, Decision, Drop, Ended, ModelInfo, Price, Target, Usage
from ._sight import ANY, Sight

__all__ = ["Plan"]

KeysRest = Callable[[Target, float], Rest | None]
# Targets a refusal tells of, models it offers instead, and models looked at for them: vendors list thousands.
TOLD, OFFERED, LOOKED_AT = 20, 3, 1000
# Kinds of needs, and targets of each, that are remembered for a minute; callers choose what they need.
MOST_NEEDS, MOST_PASSED = 64, 2048


class Plan:
    """Find where a call can go, and in which order, from what is known this moment."""

    def __init__(self, parts: Parts, memory: Memory, clock: Clock, *, random: Random) -> None:
        self.parts = parts
        self.memory = memory
        self.clock = clock
        self.operations = {name: getattr(p, "operations", None) for name, p in parts.providers.items()}
        self._orders = Orders(parts.policies, random)
        # What was worked out this minute, by `id`: prices change with the hour, catalogues with a refresh.
        self._minute = 0.0
        self._rows: dict[int, tuple[ModelInfo, Price | None]] = {}
        self._passed: dict[Needs, Passed] = {}
        self.bare: dict[int, Candidate] = {}

    def resolve(self, call: Call) -> Resolved:
        """Find the targets a request stands for, and note it in the trace."""
        resolved = self.resolved(call)
        call.trace.resolved = resolved.how
        call.trace.warnings += resolved.warnings
        call.trace.dropped += resolved.dropped
        call.terms = resolved.terms
        call.resolved = resolved.groups[0].route if resolved.groups else ""
        call.resolved = call.resolved or str(resolved.targets[0])
        return resolved

    def candidates(self, call: Call, *, dry: bool = False) -> Sequence[Candidate]:
        """Leave out what cannot serve a request, and order the rest: each route by its policy, routes in turn.

        Raises RequestError when nothing is left. A dry run takes no policy's turn.
        """
        resolved, sight = self.resolve(call), Sight(self, call)
        screen = Screen(call, sight)
        groups = resolved.groups
        if call.operation == "embeddings":
            groups, drops = one_space(screen.meeting(groups), self._gives_vectors)
            call.trace.dropped += drops
        kept = screen.sift(groups)
        if kept and kept[0].route != groups[0].route:
            self._warn_of_another(call, groups[0], screen)
        groups = kept
        call.trace.dropped += screen.dropped
        if not groups:
            raise self._unspoken(call) if call.request.needs is not None else self._nobody(call, screen)
        ordered = self._orders.order(call, groups, sight.candidate, dry=dry, repeats=resolved.repeats)
        call.trace.candidates += ordered
        call.trace.policies += self._policies(call, groups)
        return ordered

    def _warn_of_another(self, call: Call, named: Branch, screen: Screen) -> None:
        """Say that what was named cannot serve the request at all, so that others do."""
        first = next((drop for drop in screen.dropped if drop.target == str(next(named.targets(), ""))), None)
        if first is not None and call.request.model:
            call.trace.warnings.append(f"{call.request.model[:128]!r} was not asked: {first.reason}; another answers")

    def dry(self, call: Call) -> Sequence[Candidate]:
        """Give what `candidates` would, and leave everything as it is but the call and its trace."""
        return self.candidates(call, dry=True)

    def explain(self, call: Call, health: Health, keys_rest: KeysRest) -> Decision:
        """Tell where a call would go this moment, and what rests. Raises RequestError for what nothing is known of."""
        call.started = self.clock.now()
        call.deadline = call.started + call.timeout
        trace = call.trace
        trace.id, trace.ended = "", Ended("dry")
        try:
            Attempts(call, self.dry(call), health, now=self.clock.now, keys_rest=keys_rest).look()
        except RequestError as error:
            if not trace.dropped:
                raise
            trace.ended = Ended("dry", status=error.status, code=error.code or "")
        trace.estimate = self.estimate(call)
        return trace.freeze()

    def estimate(self, call: Call) -> Usage:
        """Guess what a request will use, wherever it goes."""
        return self.parts.estimator.usage(ANY, size_of(call.request.body))

    def serves(self, call: Call, target: Target) -> bool:
        """Tell whether nothing speaks against a target for a request."""
        return Screen(call, Sight(self, call)).could(target)

    def candidate(self, target: Target) -> Candidate:
        """Gather what is known of a target."""
        ring, info = self.parts.rings[target.provider], self.parts.catalogue.info(target.provider, target.model)
        return Candidate(target, info, ring.free(target.model), self.memory.facts(target, self.clock.now()))

    def resolved(self, call: Call) -> Resolved:
        """Find the targets a request stands for."""
        asked, today = call.request, datetime.fromtimestamp(self.clock.wall(), UTC).date()
        return self.parts.names.resolve(asked.model, asked.routing, today=today, caller=call.caller)

    def info(self, target: Target) -> ModelInfo | None:
        """Give what is known of a model."""
        return self.parts.catalogue.info(target.provider, target.model)

    def row(self, info: ModelInfo, tokens: int) -> Price | None:
        """Give the prices in force now, for so many input tokens; looked up once a minute."""
        rows = self.rows()
        known = rows.get(id(info))
        if known is not None:
            return known[1]
        row = price_at(info.prices, self.clock.wall(), tokens)
        if not any(price.above_tokens for price in info.prices):
            rows[id(info)] = (info, row)
        return row

    def rows(self) -> dict[int, tuple[ModelInfo, Price | None]]:
        """Give the prices of this minute that were looked up, of models whose prices hold for any size."""
        minute = self.clock.wall() // 60
        if minute != self._minute:
            self._minute, self._rows, self._passed, self.bare = minute, {}, {}, {}
        return self._rows

    def passed(self, needs: Needs) -> Passed:
        """Give which targets had all that a request needs, this minute."""
        known = self._passed.get(needs)
        if known is None or len(known) > MOST_PASSED:
            if len(self._passed) >= MOST_NEEDS:
                self._passed.clear()
            known = self._passed[needs] = {}
        return known

    def price(self, target: Target, usage: Usage | None) -> Cost:
        """Price what was used at a target, now."""
        info = self.parts.catalogue.info(target.provider, target.model)
        return cost_of(usage, info, self.clock.wall())

    def _gives_vectors(self, target: Target) -> bool:
        info = self.info(target)
        return info is None or not info.abilities or "embeddings" in info.abilities

    def _policies(self, call: Call, groups: Sequence[Branch]) -> Iterator[str]:
        """Name what decided on the order, as `route: policy`."""
        for branch in groups:
            sort = call.request.routing.sort or branch.sort
            if sort:
                yield f"{branch.route or 'sort'}: {sort}"
                continue
            for place in branch.branches():
                name = self.parts.policy_names.get(place.route)
                if name and len(place.members) > 1:
                    yield f"{place.route}: {name}"

    def _unspoken(self, call: Call) -> RequestError:
        """Say that no target can be asked what chat cannot say, and which providers could."""
        needs, operation = call.request.needs, call.request.operation
        able = sorted(name for name, offered in self.operations.items() if operation in (offered or ()))
        who = f"Ask a model of {', '.join(able)}, or leave it out." if able else "No provider here does; leave it out."
        message, param, code = (needs.message, needs.param, needs.code) if needs is not None else ("", None, None)
        return RequestError(f"{message} None of those asked does. {who}", param=param, code=code)

    def _nobody(self, call: Call, screen: Screen) -> RequestError:
        """Say of each target why it cannot serve a request, and who can."""
        drops: Mapping[str, Drop] = {drop.target: drop for drop in screen.dropped}
        told = [f"{drop.target}: {drop.reason} ({drop.code})" for drop in drops.values()][:TOLD]
        left = len(drops) - len(told)
        today = datetime.fromtimestamp(self.clock.wall(), UTC).date()
        names = (
            (f"{m.provider}/{m.id}", m.id, m.provider) for m in islice(self.parts.catalogue.living(today), LOOKED_AT)
        )
        able = (n for n, id_, p in names if call.caller.may_use(n, id_) and screen.could(Target(p, id_)))
        near = [*islice(able, OFFERED)]
        way_on = f"{' or '.join(near)} could." if near else "Ask for less, or for another model."
        codes = {drop.code for drop in drops.values()}
        return RequestError(
            f"no target of {call.trace.asked[:128]!r} can serve this request. {'; '.join(told)}"
            f"{f'; and {left} more' if left else ''}. {way_on}",
            code=codes.pop() if len(codes) == 1 else "no_target",
        )
