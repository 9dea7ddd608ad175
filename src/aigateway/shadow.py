"""Copies of requests to another target: nobody waits for them, and nobody is told what became of them.

A copy is a task of the event loop itself, as no task group may be held open beside a caller's own:
a task of asyncio's loop, one of trio's system tasks. It ends by itself, at its deadline, or when the
gateway is closed.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import anyio

from .errors import GatewayError
from .exchange import IO, Exchange, running_loop
from .guards import json_line, line_of
from .plan import Plan
from .types import Call, Caller, Candidate, Ended, Outcome, Retries, Shadow, Terms, Trace

__all__ = ["Shadows"]

LOG = logging.getLogger("aigateway.calls")
ONCE = Terms(Retries(attempts=1, same_target=0))
# Seconds closing waits for copies to let go of their connections.
CLOSING = 5.0
Ask = Callable[[Call, Sequence[Candidate], IO], Awaitable[Exchange]]


@dataclass(eq=False, slots=True)
class Copy:
    """One copy under way, on the event loop that began it."""

    call: Call
    of: str
    loop: object
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)
    task: object = None


class Shadows:
    """Send copies of requests whose route says so, as many at a time as it says."""

    def __init__(self, plan: Plan, ask: Ask, random: Random, keep: Callable[[Trace], None]) -> None:
        self._plan = plan
        self._ask = ask
        self._random = random
        self._keep = keep
        self._copies: set[Copy] = set()
        self._under_way: Counter[Shadow] = Counter()

    def cast(self, call: Call, shadow: Shadow, io: IO) -> None:
        """Begin a copy of an answered call, if it is one of those that are copied; never fails, never waits."""
        if call.reply is not None or self._under_way[shadow] >= shadow.in_flight:
            return
        if self._random.random() >= shadow.share or not self._may_have(call, shadow):
            return
        copied = Call(
            replace(call.request),
            Caller("shadow", frozenset(), tenant=call.caller.tenant),
            f"{call.id}-shadow",
            trace=self._trace(call),
            terms=ONCE,
        )
        copied.started, copied.timeout = io.clock.now(), shadow.timeout
        copied.deadline = copied.started + shadow.timeout
        copy = Copy(copied, call.id, running_loop())
        self._copies.add(copy)
        self._under_way[shadow] += 1
        copy.task = _spawn(copy.loop, lambda: self._run(copy, shadow, io))

    async def aclose(self) -> None:
        """End what is under way on this event loop."""
        loop = running_loop()
        ours = [copy for copy in self._copies if copy.loop is loop]
        for copy in ours:
            copy.scope.cancel()
        with anyio.move_on_after(CLOSING, shield=True):
            for copy in ours:
                await copy.ended.wait()

    def _trace(self, call: Call) -> Trace:
        request, trace = call.request, call.trace
        made = Trace(trace.asked, f"a copy of the request {call.id}", id=f"{call.id}-shadow", caller="shadow")
        made.operation, made.stream, made.seed = request.operation, request.stream, trace.seed
        made.at = self._plan.clock.wall()
        return made

    def _may_have(self, call: Call, shadow: Shadow) -> bool:
        """Tell whether caller and request let this target see it, and it can answer."""
        target, routing = shadow.target, call.request.routing
        names = {target.provider, str(target)}
        asked = call.request.model or self._plan.parts.names.rules.default_model
        # By the route's name, too: a name nobody knows may be on the list, and stand for a route that is not.
        if not all(call.caller.may_use(name, str(target), target.model) for name in (asked, call.resolved)):
            return False
        if not names.isdisjoint(routing.ignore):
            return False
        return not (routing.only and names.isdisjoint(routing.only)) and self._plan.serves(call, target)

    async def _run(self, copy: Copy, shadow: Shadow, io: IO) -> None:
        outcome = Outcome("cancelled")
        try:
            with copy.scope:
                outcome = await self._answered(copy.call, shadow, io)
        except Exception as error:  # nobody is there to hear of it
            logging.getLogger("aigateway").warning("a copy to %s failed (%s)", shadow.target, type(error).__name__)
        finally:
            self._copies.discard(copy)
            self._under_way[shadow] -= 1
            copy.ended.set()
            self._write(copy, outcome._replace(seconds=io.clock.now() - copy.call.started))

    async def _answered(self, call: Call, shadow: Shadow, io: IO) -> Outcome:
        """Ask, and read the answer to its end; what goes wrong is noted and hurts nobody."""
        try:
            exchange = await self._ask(call, [self._plan.candidate(shadow.target)], io)
        except GatewayError as error:
            return Outcome("failed", error=error)
        exchange.collect, exchange.drain = False, 0.0
        try:
            while await exchange.read():
                pass
        except GatewayError as error:
            await exchange.aclose(error)
        finally:
            await exchange.aclose()
        return exchange.outcome or Outcome("cancelled")

    def _write(self, copy: Copy, outcome: Outcome) -> None:
        """Write the line of the copy's own call, and keep its decision: what it cost is in no other."""
        trace, error = copy.call.trace, outcome.error
        trace.steps = [step._replace(role="shadow") for step in trace.steps]
        status, code = (error.status, error.code or "") if error is not None else (0, "")
        trace.ended = Ended(outcome.state, outcome.seconds, outcome.first_content, status, code)
        self._keep(trace)
        for copied in filter(None, (getattr(guard, "copied", None) for guard in self._plan.parts.guards)):
            try:
                copied(trace.steps)
            except Exception:  # it would end trio
                logging.getLogger("aigateway.guards").exception("a guard failed when told of a copy")
        if LOG.isEnabledFor(logging.INFO):
            LOG.info("%s", json_line({**line_of(copy.call, outcome), "shadow_of": copy.of}))


def _spawn(loop: Any, run: Callable[[], Awaitable[None]]) -> object:
    """Begin a task that belongs to nobody; `run` lets no error out."""
    if hasattr(loop, "create_task"):
        return loop.create_task(run())
    return sys.modules["trio"].lowlevel.spawn_system_task(run)
