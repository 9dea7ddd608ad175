"""Where the parts meet: the only module that knows them all.

One direction, one stack: `open` resolves the name and enters the guards, `_across_targets` and
`_across_keys` try what the last failure allows, `_once` is one exchange with one provider.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread

from .asking import Asked, Asking
from .catalogue import check_caps, ranking_rows
from .errors import GatewayError, ProviderError, RequestError
from .exchange import IO, Chunks, Exchange, answered, fetch, open_exchange, probe, race, relist, running_loop, timer_for
from .guards import GuardStack, close_all
from .keys import Wanted
from .parts import Parts, build
from .plan import Plan, model_cards
from .plugins import Registry
from .renewal import Before, Lasting
from .routing import Attempt, Attempts
from .shadow import Shadows
from .state import Rest
from .transport import Transport, open_transport
from .types import (
    ANYWHERE,
    IN_PROCESS,
    Call,
    Caller,
    Candidate,
    ChatRequest,
    Clock,
    Decision,
    Ended,
    ModelCard,
    Outcome,
    Target,
    Timeouts,
    Trace,
    messages_from,
)

if TYPE_CHECKING:
    import httpx2

    from .config import Settings
    from .keys import Key, Ring
    from .secrets import Secret

__all__ = ["Chunks", "Gateway", "SystemClock"]

LOG = logging.getLogger("aigateway")


class SystemClock:
    """Tell the system's time; the same on every event loop, so that facts outlive one."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    async def sleep(self, seconds: float, /) -> None:
        """Wait."""
        await anyio.sleep(seconds)


class Gateway(Asking):
    """Answer requests from whichever configured provider can.

    Use it as an async context manager, or call `aclose`. It opens its connections on first use,
    in the event loop that uses it. Raises ConfigurationError when the settings name a part that
    does not exist.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        registry: Registry | None = None,
        client: httpx2.AsyncClient | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
        before: Gateway | None = None,
    ) -> None:
        if not LOG.handlers:  # who wants to read our log configures logging; nobody else is shown it
            LOG.addHandler(logging.NullHandler())
        self.settings = settings
        self.registry = registry or Registry(allow=settings.plugins)
        lasting = before.lasting if before is not None else Lasting(settings, clock or SystemClock(), seed)
        self.lasting: Lasting = lasting
        self.seed, self.clock, self._ids = lasting.seed, lasting.clock, lasting.ids
        self.memory, self.health, self.decisions = lasting.memory, lasting.health, lasting.decisions
        self.parts: Parts = build(settings, self.registry, lasting, Before.of(before))
        lasting.open[self] = self.parts
        self._timeouts = settings.timeouts.over(Timeouts())
        self.plan = Plan(self.parts, self.memory, self.clock, random=lasting.random)
        self._shadows = Shadows(self.plan, self._across_targets, lasting.random, self.decisions.add)
        self._client = client
        self._transport = transport
        self._io: WeakKeyDictionary[object, IO] = WeakKeyDictionary()
        self._closed = False

    @classmethod
    def from_config(cls, source: str | Path | Mapping[str, Any] | None = None, **options: Any) -> Self:
        """Build one from a file, a mapping, or (None) whatever `config.load` discovers."""
        from .config import load

        return cls(load(source).with_providers(), **options)

    def renewed(self, settings: Settings) -> Self:
        """Give the gateway of other settings: it knows what this one knows, and shares what is the same.

        This one goes on as it is until it is closed, which leaves open what the other one uses. Raises
        ConfigurationError, and nothing has changed then.
        """
        same = settings.plugins == self.settings.plugins
        registry = self.registry if same else Registry(allow=settings.plugins)
        return type(self)(settings, registry=registry, client=self._client, transport=self._transport, before=self)

    async def __aenter__(self) -> Self:
        self._closed = False
        self.lasting.open[self] = self.parts
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a stream that is still under way is interrupted."""
        self._closed = True
        io = self._io.pop(running_loop(), None)
        self._io.clear()
        guards, mirror, is_last = self.lasting.leave(self, self.parts)
        with anyio.CancelScope(shield=True):
            await self._shadows.aclose()
            if io is not None and (is_last or io.transport is not self._transport):
                await io.transport.aclose()
            await close_all(guards)
            if mirror is not None:
                await anyio.to_thread.run_sync(mirror.close)
            if is_last and self.decisions.journal is not None:
                await anyio.to_thread.run_sync(self.decisions.journal.close)

    def call(
        self,
        request: ChatRequest,
        *,
        caller: Caller = IN_PROCESS,
        request_id: str = "",
        timeout: float | None = None,
        address: str = "",
    ) -> Call:
        """Wrap a checked request; `timeout` may only shorten the configured total, `address` is the client's."""
        if timeout is not None and not _is_duration(timeout):
            raise RequestError("'timeout' must be a positive number of seconds", param="timeout")
        caps = self.settings.limits
        if caps.max_tokens is not None or caps.max_context_length is not None:
            check_caps(request, output=caps.max_tokens, context=caps.max_context_length)
        name = request_id or f"{self._ids.getrandbits(128):032x}"
        trace = Trace(request.model, id=name, operation=request.operation, stream=request.stream, caller=caller.name)
        call = Call(request, caller, name, trace=trace, address=address)
        total = self._timeouts.total
        call.timeout = trace.timeout = min(timeout or total, request.routing.deadline or total, total)
        trace.seed, trace.at = self.seed, self.clock.wall()
        trace.routing = request.routing if request.routing != ANYWHERE else None
        return call

    def explain(self, model: str, asked: Asked = "", *, caller: Caller = IN_PROCESS) -> Decision:
        """Tell where a prompt, messages or a whole request would go this moment; asks nobody, changes nothing.

        Raises RequestError for what is no request, and for a name nobody knows.
        """
        if not isinstance(asked, ChatRequest):
            fields = asked if isinstance(asked, Mapping) else {"messages": messages_from(asked)}
            asked = ChatRequest.parse({**fields, "model": model})
        call = self.call(asked, caller=caller, request_id="dry-run")
        return self.plan.explain(call, self.health, self._keys_rest)

    def vendor_keys(self) -> list[dict[str, Any]]:
        """Tell about every vendor key, without showing one."""
        return [{"provider": name, **key} for name, ring in self.parts.rings.items() for key in ring.listing()]

    async def verify_keys(self, provider: str | None = None) -> list[dict[str, Any]]:
        """Ask each vendor whether it takes our keys; `result` is `good`, or the kind of failure and why."""
        found = []
        for name in [provider] if provider else self.parts.rings:
            for key in self._ring(name).keys:
                try:
                    await self.verify_key(name, key.secret)
                    result = "good"
                except ProviderError as error:
                    result = f"{error.kind}: {error.message}"
                found.append({"provider": name, "id": key.id, "result": result})
        return found

    async def verify_key(self, provider: str, secret: Secret | None) -> None:
        """Ask one vendor whether it takes a key. Raises ProviderError."""
        self._ring(provider)
        await probe(self.parts.providers[provider], secret, self._opened())

    def _ring(self, provider: str) -> Ring:
        if provider not in self.parts.rings:
            raise RequestError(f"there is no provider {provider!r}. There is: {', '.join(self.parts.rings)}.")
        return self.parts.rings[provider]

    async def refresh_models(self, provider: str | None = None) -> list[dict[str, Any]]:
        """Ask vendors for their lists of models: what became known, what is not listed, and why one gave none."""
        names = [provider] if provider else self.parts.rings
        secrets = {name: [key.secret for key in self._ring(name).keys] for name in names}
        rows = await relist(self.parts.listings, self.parts.providers, secrets, self._opened())
        self.parts.names.forget()
        return rows

    def models(self, caller: Caller = IN_PROCESS) -> list[ModelCard]:
        """List what a caller may ask for, routes first, as GET /v1/models does; what nobody knows is left out."""
        return list(model_cards(self.parts, caller, self.clock.wall()))

    def ranking(self, caller: Caller = IN_PROCESS) -> list[dict[str, Any]]:
        """Rank the models a caller may ask for, by measured use; what was not measured is None."""
        return ranking_rows(self.parts.catalogue, caller, self.memory.use(), self.clock.wall())

    async def fetch(self, url: str) -> bytes:
        """Read a public document. Raises WireError."""
        return await fetch(url, self._opened())

    # -- the four functions -----------------------------------------------------------------

    async def open(self, call: Call) -> Exchange:
        """Answer a call; the caller of this closes the exchange.

        Raises RequestError (nothing was sent), ProviderError (the caller must change something) or
        NoAnswer (everything was tried).
        """
        io = self._opened()
        call.started = io.clock.now()
        call.deadline = call.started + call.timeout
        guards = GuardStack(self.parts.guards)
        try:
            candidates = self.plan.candidates(call)
            shadow = call.terms.shadow  # of the route that was named, whoever answers
            if call.terms.total is not None:
                call.deadline = min(call.deadline, call.started + call.terms.total)
            call.first = candidates[0].target if candidates else None
            await guards.enter(call)
            if call.reply is not None:
                exchange = await answered(call, call.reply, io)
            else:
                exchange = await self._across_targets(call, candidates, io)
        except BaseException as error:
            await self._leave_failed(guards, call, error, io)
            raise
        if call.terms.recovery == "continue":
            exchange.go_on = self._go_on
        exchange.on_close(lambda outcome: self._leave(guards, call, outcome))
        if shadow is not None:
            self._shadows.cast(call, shadow, io)
        return exchange

    async def _across_targets(self, call: Call, candidates: Sequence[Candidate], io: IO) -> Exchange:
        attempts = Attempts(call, candidates, self.health, now=io.clock.now, keys_rest=self._keys_rest)
        for attempt in attempts:
            if attempt.wait:
                try:
                    await io.clock.sleep(attempt.wait)
                except BaseException:
                    attempt.give_back()
                    raise
            if not attempt.is_due:
                continue
            exchange = await self._raced(call, attempt, attempts, io)
            if exchange is not None:
                return exchange
        raise attempts.exhausted()

    async def _raced(self, call: Call, attempt: Attempt, attempts: Attempts, io: IO) -> Exchange | None:
        """Ask one target; where the route hedges and it is late, a second one beside it."""
        hedge = call.terms.hedge
        late = self.health.hedge_after(attempt.target, hedge, stream=call.request.stream) if hedge else None
        rival = attempts.rival(attempt) if late is not None else None
        if rival is None or late is None:
            return await self._try(call, attempt, io)

        async def ask_rival() -> Exchange | None:
            if attempts.rest(rival.target) is not None or not self.health.hedged():
                return None
            attempts.begun(rival)
            return await self._try(call, rival, io)

        return await race(lambda: self._try(call, attempt, io), lambda: io.clock.sleep(late), ask_rival)

    async def _try(self, call: Call, attempt: Attempt, io: IO) -> Exchange | None:
        """Make one attempt; None when it failed and something may follow."""
        with attempt:
            return await self._across_keys(call, attempt, io)
        if attempt.error is not None:
            attempt.error.forget_frames()  # they hold the call, and all its attempts
        return None

    async def _across_keys(self, call: Call, attempt: Attempt, io: IO) -> Exchange:
        ring = self.parts.rings[attempt.target.provider]
        leases = ring.leases(Wanted(attempt.target.model, call.conversation, forced=attempt.forced))
        for lease in leases:
            if leases.has_failed and io.clock.now() >= call.deadline:
                break
            with lease:
                exchange = await self._once(call, attempt, lease.key, io)
                lease.hear(exchange.headers)
                exchange.hold(attempt, lease)
                return exchange
        raise leases.exhausted().at(attempt.target.provider, attempt.target.model)

    async def _once(self, call: Call, attempt: Attempt, key: Key, io: IO) -> Exchange:
        provider = self.parts.providers[attempt.target.provider]
        exchange = await open_exchange(
            call, attempt.target, provider, io, key=key.secret, wait=attempt.wait, role=attempt.role
        )
        exchange.drain = self.parts.drains.get(attempt.target.provider, 0.0)
        return exchange

    async def _go_on(self, broken: Exchange, text: str) -> Exchange | None:
        """Ask targets that can go on after `text` for the rest of an answer that broke off; None when none does."""
        if self._closed:
            return None
        call, io = broken.call, self._opened()
        rest = replace(call, partial=text, trace=Trace())
        # What has been told so far came as chat.
        rest.request = replace(call.request, operation="chat", native=None, headers={})
        try:
            able = [found for found in self.plan.dry(rest) if self._can_continue(found.target, call, text)]
            able.sort(key=lambda candidate: candidate.target == broken.target)  # another one first
            able = [found._replace(target=replace(found.target, terms=None)) for found in able]  # on those of `rest`
            rest.trace, rest.terms = call.trace, replace(call.terms, recovery="terminate", hedge=None)
            return await self._across_targets(rest, able, io) if able else None
        except GatewayError:
            return None  # the first failure is what the caller is told

    def _can_continue(self, target: Target, call: Call, text: str) -> bool:
        continuation = getattr(self.parts.providers[target.provider], "continuation", None)
        try:
            return continuation is not None and continuation(call.request, text) is not None
        except Exception as error:
            LOG.warning("the continuation of %s failed (%s)", target.provider, type(error).__name__)
            return False

    # -- helpers ----------------------------------------------------------------------------

    def _keys_rest(self, target: Target, now: float) -> Rest | None:
        return self.parts.rings[target.provider].rest(target.model)

    def _opened(self) -> IO:
        """Give the connections of the running event loop; a loop that is gone took its own along."""
        if self._closed:
            raise RuntimeError("this gateway is closed. Make a new one, or enter it again.")
        loop = running_loop()
        io = self._io.get(loop)
        if io is None:
            backend = "trio" if type(loop).__module__.startswith("trio") else "asyncio"
            for other in [known for known in self._io if getattr(known, "is_closed", bool)()]:
                del self._io[other]
            kind = self.settings.transport.kind
            transport = self._transport or open_transport(kind, backend=backend, client=self._client)
            if self.parts.mirror is not None:
                self.parts.mirror.start(self.memory.rests)
            io = self._io[loop] = IO(transport, self.clock, timer_for(backend), self._timeouts, self.parts.meter.open)
        return io

    async def _leave_failed(self, guards: GuardStack, call: Call, error: BaseException, io: IO) -> None:
        """Tell guards and caller how a call ended that never reached content."""
        failed = error if isinstance(error, GatewayError) else None
        if failed is not None:
            failed.trace = call.trace
        state = Outcome("failed" if failed else "cancelled", error=failed, seconds=io.clock.now() - call.started)
        await self._leave(guards, call, state)

    async def _leave(self, guards: GuardStack, call: Call, outcome: Outcome) -> None:
        """Note how a call ended, tell the guards, and keep why it went where it went."""
        trace, error = call.trace, outcome.error
        status, code = (error.status, error.code or "") if error is not None else (0, "")
        trace.ended = Ended(outcome.state, outcome.seconds, outcome.first_content, status, code)
        if outcome.usage is None and trace.estimate is None:
            trace.estimate = self.plan.estimate(call)
        try:
            if guards:
                await guards.leave(call, outcome)
        finally:
            self.decisions.add(trace)


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
