"""Where the parts meet: the only module that knows them all.

One direction, one stack: `open` resolves the name and enters the guards, `_across_targets` and
`_across_keys` try what the last failure allows, `_once` is one exchange with one provider.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio

from .catalogue import Catalogue
from .errors import ConfigurationError, GatewayError, RequestError
from .exchange import IO, Chunks, Exchange, answered, open_exchange, timer_for
from .guards import Guard, GuardStack
from .keys import Key, Ring
from .plugins import Registry
from .providers import LocalProvider, Options, Provider
from .routing import Attempt, Attempts, Names, Policy, Priority, Rules
from .state import Memory
from .transport import open_transport
from .types import (
    IN_PROCESS,
    Call,
    Caller,
    Candidate,
    ChatRequest,
    Outcome,
    Reply,
    Routing,
    Target,
    Timeouts,
    Trace,
    messages_from,
)

if TYPE_CHECKING:
    import httpx2

    from .config import Settings

__all__ = ["Chunks", "Gateway", "SystemClock"]

T = TypeVar("T")
Messages = str | Sequence[Mapping[str, Any]]
POLICIES: Mapping[str, Policy] = {"priority": Priority()}


class SystemClock:
    """Tell the time of the running event loop."""

    def __init__(self, backend: str) -> None:
        # trio's clock may be a virtual one; asyncio's is the system's, read without detours.
        self.now = time.monotonic if backend == "asyncio" else anyio.current_time
        self.wall = time.time

    async def sleep(self, seconds: float, /) -> None:
        """Wait."""
        await anyio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Parts:
    """What settings were built into."""

    providers: Mapping[str, Provider | LocalProvider]
    rings: Mapping[str, Ring]
    catalogue: Catalogue
    names: Names
    guards: Sequence[Guard]


class Gateway:
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
        seed: int | None = None,
    ) -> None:
        self.settings = settings
        self.registry = registry or Registry(allow=settings.plugins)
        self.memory = Memory()
        self.parts = _build(settings, self.registry)
        self._timeouts = settings.timeouts.over(Timeouts())
        self._retries = settings.retries.value
        self._client = client
        self._random = Random(seed)  # noqa: S311  # jitter, not cryptography
        self._io: IO | None = None
        self._loop: object | None = None
        self._closed = False

    @classmethod
    def from_config(cls, source: str | Path | Mapping[str, Any] | None = None, **options: Any) -> Self:
        """Build one from a file, a mapping, or (None) whatever `config.load` discovers."""
        from .config import load

        return cls(load(source).with_providers(), **options)

    async def __aenter__(self) -> Self:
        self._closed = False
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a stream that is still under way is interrupted."""
        self._closed = True
        io, self._io = self._io, None
        if io is not None:
            with anyio.CancelScope(shield=True):
                await io.transport.aclose()

    # -- what programs call -----------------------------------------------------------------

    async def chat(self, model: str, messages: Messages, **options: Any) -> Reply:
        """Ask for a whole answer.

        `options` are `routing`, `timeout` (seconds for everything), `caller`, `extra` (fields for
        one provider), and any OpenAI parameter. Raises RequestError, NoAnswer, ProviderError.
        """
        if options.pop("stream", False):
            raise TypeError("chat() gives whole answers; use `async with gateway.stream(...) as chunks` for a stream")
        exchange = await self.open(self._call(model, messages, options, stream=False))
        await exchange.aclose()
        reply = exchange.whole()
        reply.trace = exchange.call.trace
        return reply

    def stream(self, model: str, messages: Messages, **options: Any) -> Chunks:
        """Ask for a streamed answer: `async with gateway.stream(...) as chunks: async for chunk in chunks`."""
        if not options.pop("stream", True):
            raise TypeError("stream() gives streams; use `await gateway.chat(...)` for a whole answer")
        call = self._call(model, messages, options, stream=True)
        return Chunks(lambda: self.open(call), wants_usage=call.request.wants_usage)

    def _call(self, model: str, messages: Messages, options: dict[str, Any], *, stream: bool) -> Call:
        timeout, caller = options.pop("timeout", None), options.pop("caller", IN_PROCESS)
        fields = {"model": model, "messages": messages_from(messages), "stream": stream, **options}
        return self.call(ChatRequest.parse(fields), caller=caller, timeout=timeout)

    def call(
        self, request: ChatRequest, *, caller: Caller = IN_PROCESS, request_id: str = "", timeout: float | None = None
    ) -> Call:
        """Wrap a checked request; `timeout` may only shorten the configured total."""
        if timeout is not None and not _is_duration(timeout):
            raise RequestError("'timeout' must be a positive number of seconds", param="timeout")
        if self.settings.limits.max_tokens is not None:
            _check_cap(request, self.settings.limits.max_tokens)
        call = Call(
            request, caller, request_id or f"{self._random.getrandbits(128):032x}", trace=Trace(asked=request.model)
        )
        call.timeout = min(timeout or self._timeouts.total, self._timeouts.total)
        return call

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
            candidates = self._candidates(call)
            await guards.enter(call)
            if call.reply is not None:
                exchange = await answered(call, call.reply, io)
            else:
                exchange = await self._across_targets(call, candidates, io)
        except BaseException as error:
            await self._leave_failed(guards, call, error, io)
            raise
        if guards:
            exchange.on_close(lambda outcome: guards.leave(call, outcome))
        return exchange

    async def _across_targets(self, call: Call, candidates: Sequence[Candidate], io: IO) -> Exchange:
        attempts = Attempts(call, candidates, self._retries, now=io.clock.now, random=self._random, memory=self.memory)
        for attempt in attempts:
            if attempt.wait:
                await io.clock.sleep(attempt.wait)
            with attempt:
                return await self._across_keys(call, attempt, io)
        raise attempts.exhausted()

    async def _across_keys(self, call: Call, attempt: Attempt, io: IO) -> Exchange:
        ring = self.parts.rings.get(attempt.target.provider)
        if ring is None:
            exchange = await self._once(call, attempt, None, io)
            exchange.hold(attempt)
            return exchange
        leases = ring.leases()
        for lease in leases:
            with lease:
                exchange = await self._once(call, attempt, lease.key, io)
                exchange.hold(attempt, lease)
                return exchange
        raise leases.exhausted()

    async def _once(self, call: Call, attempt: Attempt, key: Key | None, io: IO) -> Exchange:
        provider = self.parts.providers[attempt.target.provider]
        secret = key.secret if key else None
        return await open_exchange(call, attempt.target, provider, io, key=secret, wait=attempt.wait)

    # -- helpers ----------------------------------------------------------------------------

    def resolve(self, call: Call) -> list[Target]:
        """Find the targets a request stands for, and note it in the trace."""
        today = datetime.now(UTC).date()
        resolved = self.parts.names.resolve(call.request.model, call.request.routing, today=today)
        call.trace.resolved = resolved.how
        call.trace.warnings += resolved.warnings
        return resolved.targets

    def _candidates(self, call: Call) -> Sequence[Candidate]:
        candidates = [
            Candidate(
                target,
                self.parts.catalogue.info(target.provider, target.model),
                len(ring.keys) if (ring := self.parts.rings.get(target.provider)) else 1,
                self.memory.facts(target),
            )
            for target in self.resolve(call)
        ]
        ordered = POLICIES["priority"].order(call, candidates)
        call.trace.candidates += (str(candidate.target) for candidate in ordered)
        return ordered

    def _opened(self) -> IO:
        """Give the connections of the running event loop; a loop that is gone took its own along."""
        if self._closed:
            raise RuntimeError("this gateway is closed. Make a new one, or enter it again.")
        loop = _running_loop()
        if self._io is None or self._loop is not loop:
            backend = "asyncio" if loop is not None else "trio"
            transport = open_transport(self.settings.transport.kind, backend=backend, client=self._client)
            self._io = IO(transport, SystemClock(backend), timer_for(backend), self._timeouts)
            self._loop = loop
        return self._io

    async def _leave_failed(self, guards: GuardStack, call: Call, error: BaseException, io: IO) -> None:
        """Tell guards and caller how a call ended that never reached content."""
        failed = error if isinstance(error, GatewayError) else None
        if failed is not None:
            failed.decision = call.trace.freeze()
        state = Outcome("failed" if failed else "cancelled", error=failed, seconds=io.clock.now() - call.started)
        await guards.leave(call, state)


def _running_loop() -> object | None:
    """Give asyncio's running loop; None means another event loop, that is trio."""
    asyncio = sys.modules.get("asyncio")
    try:
        return asyncio.get_running_loop() if asyncio else None
    except RuntimeError:
        return None


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _check_cap(request: ChatRequest, cap: int) -> None:
    """Hold the cap, for the fields of single providers too. Raises RequestError."""
    for fields in (request.body, *request.extra.values()):
        for name in ("max_tokens", "max_completion_tokens"):
            asked = fields.get(name, 0)
            if isinstance(asked, int | float) and asked > cap:
                raise RequestError(f"{name!r} is above this gateway's cap of {cap}. Ask for {cap} or less.", param=name)


def _build(settings: Settings, registry: Registry) -> Parts:
    """Turn settings into parts, loading the plug-ins they name."""
    providers: dict[str, Provider | LocalProvider] = {}
    rings: dict[str, Ring] = {}
    for name in settings.providers:
        providers[name] = _provider(settings, registry, name)
        keys = [Key(key.secret, key.quota_group, key.weight) for key in settings.providers[name].keys]
        if keys:
            rings[name] = Ring(keys)
    catalogue = Catalogue({name: provider.models() for name, provider in providers.items()})
    rules = Rules(settings.default_model, settings.unknown_models, settings.fallback)
    names = Names(_routes(settings, catalogue), catalogue, rules)
    _check_default(settings, names)
    return Parts(
        providers, rings, catalogue, names, [_guard(settings, registry, i) for i in range(len(settings.guards))]
    )


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


def _provider(settings: Settings, registry: Registry, name: str) -> Provider | LocalProvider:
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
    options = Options(name, table.base_url, table.own)
    return _located(settings, ("providers", name), lambda: record.factory(options))


def _guard(settings: Settings, registry: Registry, index: int) -> Guard:
    from .config import unknown_setting

    table = settings.guards[index]
    record = _located(settings, ("guards", index), lambda: registry.guard(table.use))
    for setting in table.own:
        if setting not in record.settings:
            raise unknown_setting(("guards", index, setting), ["use", *record.settings], settings.context)
    return record.factory({**record.settings, **table.own})


def _routes(settings: Settings, catalogue: Catalogue) -> dict[str, tuple[Target, ...]]:
    base = settings.timeouts.over(Timeouts())
    return {
        name: tuple(_placed(target, settings, catalogue, name) for target in route.build(base))
        for name, route in settings.routes.items()
    }


def _placed(target: Target, settings: Settings, catalogue: Catalogue, route: str) -> Target:
    """Find the provider of a target written without one."""
    if target.provider:
        return target
    owner = next((name for name in catalogue if target.model in catalogue[name]), None)
    if owner is None:
        raise ConfigurationError(
            f"{settings.locate('routes', route, 'targets')}: routes.{route} has the target {target.model!r}, which no "
            "configured provider has in its catalogue. Write it as provider/model."
        )
    return Target(owner, target.model, target.weight, target.timeouts, target.params)
