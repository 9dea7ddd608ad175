"""One exchange with one provider, from the request to the last byte.

It commits at the first content: until then a failure is the loops' to mend, after it the answer
belongs to one provider and ends as what it was: complete, interrupted or cancelled.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Protocol

import anyio

from ..errors import REMEDIES, Billed, GatewayError, Kind, ProviderError, RequestError, StreamInterrupted, WireError
from ..guards import tell
from ..secrets import Secret
from ..types import Call, Chunk, Decision, Outcome, Reply, Role, Step, Target, Timeouts, Usage
from ._failures import BROKE, from_wire, placed, said
from ._io import IO
from ._oddities import note
from ._pieces import is_text, without_role
from ._said import said_in, said_in_reply
from ._source import Broken, Source, WireSource
from .timers import expired

__all__ = ["Exchange", "Settles"]

LOG = logging.getLogger("aigateway.exchange")
# Closing must end even if a peer does not; giving a connection back is worth a moment only.
CLOSING, FINISHING = 2.0, 0.25
# What an exchange takes over from the one that goes on for it.
TAKEN_OVER = (
    "target", "timer", "deadline", "drain", "started", "role", "_key", "_wait", "_source", "_open", "_ready", "_held",
    "_heard", "_paused", "_said", "bill", "request",
)  # fmt: skip  # a list of names
HOLDING = 16
OnClose = Callable[[Outcome], Awaitable[None]]
GoOn = Callable[["Exchange", str], Awaitable["Exchange | None"]]


class Settles(Protocol):
    """An attempt or a lease: something held until the answer has ended."""

    def settle(self, outcome: Outcome) -> None:
        """Take note of the end."""


class Exchange:
    """Hold one open answer: a whole `reply`, or chunks to read.

    Whoever opened it closes it; `aclose` settles attempt and lease, and runs what waits for the
    end (the guards). `collect` keeps the text so far for a caller who wants the partial answer.
    `go_on` asks somebody for the rest of an answer that broke off; `drain` is for how many seconds
    a cancelled stream is still read where the vendor counts it anyway; `lost` marks an answer that
    came second. `bill` knows what the call costs.
    """

    __slots__ = (
        "_committed", "_error", "_heard", "_held", "_io", "_key", "_lost", "_on_close", "_only_text", "_open",
        "_paused", "_ready", "_resumed", "_said", "_source", "_texts", "_told", "_wait", "bill", "call", "collect",
        "deadline", "drain", "first_content", "go_on", "headers", "lost", "outcome", "reply", "request", "role",
        "started", "target", "timer",
    )  # fmt: skip  # one object per request

    def __init__(self, call: Call, target: Target, io: IO, *, key: Secret | None = None, wait: float = 0.0) -> None:
        self.call = call
        self.request = call.request
        self.target = target
        self.reply: Reply | None = None
        self.outcome: Outcome | None = None
        self.first_content: float | None = None
        self.collect = True
        self.go_on: GoOn | None = None
        self.drain = 0.0
        self.headers: Mapping[str, str] = {}
        self.lost = False
        self.bill = io.bill(target)
        self._said = 0  # bytes of text that came back
        self.role: Role = ""
        self.timer = io.timer()
        self._lost = self.timer.lost
        self._io = io
        self._key = key
        self._wait = wait
        self.started = io.clock.now()
        self._heard = self._paused = self.started
        self.deadline = min(call.deadline, self.started + (target.timeouts or io.timeouts).total)
        self._source: Source | None = None
        self._open = False
        self._ready: deque[list[Chunk]] = deque()
        self._committed = False
        self._told = False  # how the call to the present target ended
        self._only_text = True
        self._resumed = False
        self._error: ProviderError | None = None
        self._texts: list[tuple[str, str]] = []
        self._held: list[Settles] = []
        self._on_close: list[OnClose] = []

    # -- before content: what `open_exchange` does ------------------------------------------------

    @property
    def timeouts(self) -> Timeouts:
        """Give the target's limits, else the gateway's."""
        return self.target.timeouts or self._io.timeouts

    def answer(self, reply: Reply) -> None:
        """Take a whole reply."""
        self.reply = reply
        self._committed = True
        self._has_begun()

    async def follow(self, source: Source) -> None:
        """Read a stream until it is promised to the caller. Raises ProviderError while it is not.

        That is at its first content; where the route holds back, after so many characters; where
        it buffers, at the end.
        """
        self._source, self._open = source, True
        self._paused = self._io.clock.now()
        terms, held, size = self.call.terms, list[Chunk](), 0
        wanted = inf if terms.recovery == "buffer" else terms.hold
        while not self._committed:
            try:
                batch = await self._wait_for_batch()
            except ProviderError as error:
                error.began = self.first_content is not None
                raise
            content = [chunk for chunk in batch if chunk.has_content]
            # What promises nothing (a role, an empty text) is kept a while; a flood of it is not.
            room = len(batch) if content or self.first_content is not None else max(0, HOLDING - len(held))
            held += batch[:room]
            size += sum(len(chunk.text) + len(chunk.reasoning) for chunk in content)
            if content:
                self._has_begun()
            if self.first_content is not None and (size >= wanted or source.ended or self._error):
                self._committed = True
            elif source.ended:
                raise ProviderError(Kind.STREAM_INTERRUPTED, "the stream ended without any content", remedy=BROKE)
        self._ready.append(held)

    def hold(self, *settles: Settles) -> None:
        """Take over what is settled when the answer has ended."""
        self._held += settles

    def on_close(self, function: OnClose) -> None:
        """Run `function` with the outcome, at the end."""
        self._on_close.append(function)

    def whole(self) -> Reply:
        """Give the whole reply of a call that asked for one."""
        if self.reply is None:
            raise RuntimeError("a stream was asked for; read it")
        return self.reply

    # -- after content ----------------------------------------------------------------------

    async def read(self) -> list[Chunk]:
        """Give the next chunks as they arrive, [] at the end.

        Raises StreamInterrupted, carrying what had arrived, when the answer breaks off.
        """
        while True:
            if self._ready:
                batch = self._ready.popleft()
            elif self._error is not None:
                if not await self._went_on(self._error):
                    raise self._interrupted(self._error)
                continue
            elif self._source is None or self._source.ended:
                return []
            else:
                batch = await self._next_batch()
            if batch and self._resumed:
                batch = [chunk for chunk in map(without_role, batch) if chunk is not None]
            if batch:
                if self.call.listeners:
                    tell(self.call, batch)
                if self.collect or self.go_on:
                    self._texts += ((chunk.text, chunk.reasoning) for chunk in batch)
                    self._only_text = self._only_text and (self.go_on is None or all(map(is_text, batch)))
                return batch

    async def _next_batch(self) -> list[Chunk]:
        try:
            batch = await self._wait_for_batch()
        except ProviderError as error:
            self._error = placed(error, self.target, self._key).forget_frames()
            return []
        for chunk in batch:
            if chunk.has_content:
                self._heard = self._io.clock.now()
                break
        return batch

    async def _wait_for_batch(self) -> list[Chunk]:
        """Wait once, within whichever limit is nearest. Raises ProviderError."""
        source, begun = self._source, self.first_content is not None
        if source is None:
            return []
        limit = self.timeouts.silence if begun else self.timeouts.first_content
        now = self._io.clock.now()
        lost, self._lost = self.timer.lost - self._lost, self.timer.lost
        # A reader who takes his time does not make the vendor silent, nor does code that blocks the loop.
        self._heard += now - self._paused + lost
        left = min(self._heard + limit, self.deadline) - now
        try:
            if left <= 0:  # a read that need not wait would still succeed
                raise TimeoutError
            batch = await self.timer.within(left, lambda: source.read(begun))
        except TimeoutError:
            what = "further content" if begun else "first content"
            raise expired(self.call.deadline, self._io.clock.now(), what, min(limit, self.timeouts.total)) from None
        except WireError as error:
            raise from_wire(error) from None
        except Broken as broken:
            batch = self._keep_before(broken)
        finally:
            self._paused = self._io.clock.now()
        self._said += sum(map(said_in, batch))
        return batch

    def _keep_before(self, broken: Broken) -> list[Chunk]:
        """Give the chunks that came with an error; the error follows them, unless nothing is promised yet."""
        held_back = self.call.terms.recovery in {"buffer", "hold"}
        if not self._committed and (held_back or not any(chunk.has_content for chunk in broken.chunks)):
            raise broken.error
        self._error = placed(broken.error, self.target, self._key).forget_frames()
        return broken.chunks

    def _has_begun(self) -> None:
        self._heard = self._paused = self._io.clock.now()
        if self.first_content is None:
            self.first_content = self._heard - self.call.started

    def _interrupted(self, cause: ProviderError) -> StreamInterrupted:
        text, reasoning = ("".join(parts) for parts in zip(*self._texts, strict=True)) if self._texts else ("", "")
        error = StreamInterrupted(cause).carrying(text, reasoning, self._counted())
        error.trace = self.call.trace
        return error

    async def _went_on(self, error: ProviderError) -> bool:
        """Settle what broke, and take over what another target gives after the same text; False when none does."""
        text = "".join(text for text, _ in self._texts)
        spent = self.call.trace.billable >= self.call.terms.retries.attempts - 1  # this one counts too
        if self.go_on is None or self._told or spent or not (text and self._only_text):
            return False
        self._tell(self._ended(None))
        await self._close_source()
        other = await self.go_on(self, text)
        if other is None:
            return False
        for name in TAKEN_OVER:
            setattr(self, name, getattr(other, name))
        self._error, self._told, self._resumed = None, False, True
        return True

    # -- the end ----------------------------------------------------------------------------

    @property
    def usage(self) -> Usage | None:
        """Give what is known of the usage: what was reported so far, in the end an estimate where nothing was."""
        if self.outcome is not None:
            return self.outcome.usage
        if self.reply is not None:
            return self.reply.usage
        return self._source.usage if self._source else None

    def _counted(self) -> Usage | None:
        """Give what was reported, else an estimate."""
        usage = self.reply.usage if self.reply else self._source.usage if self._source else None
        said = said_in_reply(self.reply) if self.reply and usage and usage.source == "unknown" else self._said
        return self.bill.usage(usage, self.request.body, said)

    @property
    def decision(self) -> Decision | None:
        """Say why the request went where it went; None before the end."""
        return self.call.trace.freeze() if self.outcome else None

    @property
    def complete(self) -> bool:
        """Tell whether the answer reached its end."""
        if self.reply is not None:
            return True
        return self._error is None and not self._ready and self._source is not None and self._source.ended

    async def aclose(self, error: GatewayError | None = None) -> None:
        """Settle everything and let the connection go; a stream that was not read to its end is cancelled."""
        if self.outcome is not None:
            return
        self.outcome = self._ended(error)
        try:
            if self.drain and self.outcome.state == "cancelled":
                await self._read_on()
                self.outcome = self.outcome._replace(usage=self._counted())
        finally:
            await self._let_go(self.outcome)

    async def _let_go(self, outcome: Outcome) -> None:
        """Settle, close, and tell who waits for the end; each whatever became of the one before."""
        try:
            if not self._told:
                self._tell(outcome)
            await self._close_source()
        finally:
            for function in self._on_close:
                await function(outcome)

    async def drop(self, error: BaseException) -> None:
        """Let go after a failure before content; the loops settle what they hold."""
        failed = error if isinstance(error, ProviderError) else None
        counts = failed is None or failed.may_have_cost
        self.outcome = Outcome("failed" if failed else "cancelled", self._counted() if counts else None, failed)
        if not isinstance(error, RequestError):  # nothing was sent then
            self.call.trace.steps.append(self._step(self.outcome))
        await self._close_source()

    def _tell(self, outcome: Outcome) -> None:
        """Note how the call to the present target ended, and settle what it held."""
        self._told = True
        self.call.trace.steps.append(self._step(outcome))
        for settles in self._held:
            settles.settle(outcome)
        if outcome.state == "complete":
            self.bill.learn(outcome.usage, self.request.body)
        note(self._source, self.call, self.target, self._key)

    async def _read_on(self) -> None:
        """Read for a while what nobody wants any more, to learn what it costs."""
        source = self._source
        with anyio.move_on_after(self.drain, shield=True):
            try:
                while source is not None and not source.ended:
                    self._said += sum(map(said_in, await source.read(True)))
            except (ProviderError, WireError, Broken, TimeoutError):
                return

    async def _close_source(self) -> None:
        """Close what is read from, on every path; a stream at its end may give its connection back."""
        source = self._source if self._open else None
        self._open = False
        try:
            if isinstance(source, WireSource) and source.ended:
                await self.timer.within(FINISHING, source.finish)
        except (TimeoutError, WireError):
            pass  # `finish` did not say that the body is at its end, so the connection is closed
        finally:
            self.timer.stop()
            if source is not None:
                with anyio.move_on_after(CLOSING, shield=True):
                    await source.aclose()

    def _ended(self, error: GatewayError | None) -> Outcome:
        seconds, usage = self._io.clock.now() - self.call.started, self._counted()
        if self.reply is not None and usage is not None:
            self.reply.usage = usage
        if self.complete and not self.lost:
            return Outcome("complete", usage, None, seconds, self.first_content, self.reply)
        if self._error is not None:
            return Outcome("interrupted", usage, self._interrupted(self._error), seconds, self.first_content)
        return Outcome("cancelled", usage, error, seconds, self.first_content)

    @property
    def _first_of_call(self) -> float | None:
        """Give the seconds from the call to its first content; not known of a call that went on for another."""
        if self.first_content is None or self._resumed:
            return None
        return self.first_content - (self.started - self.call.started)

    def _billed(self, outcome: Outcome) -> Billed:
        if self.role == "guard":
            return "no"
        if isinstance(outcome.error, ProviderError):
            return outcome.error.remedy.billed
        return "yes" if outcome.state == "complete" else "maybe"

    def _step(self, outcome: Outcome) -> Step:
        failed = outcome.error if isinstance(outcome.error, ProviderError) else None
        name = str(failed.kind) if failed else outcome.state
        return Step(
            str(self.target),
            name,
            key=self._key.id if self._key else "",
            start=self.started - self.call.started,
            seconds=self._io.clock.now() - self.started,
            wait=self._wait,
            reason=said(failed) if failed else "",
            billed=self._billed(outcome),
            usage=outcome.usage,
            cost=self.bill.cost(outcome.usage),
            role=self.role,
            first_content=self._first_of_call,
            retry_after=failed.retry_after if failed else None,
            remedy=failed.remedy if failed and failed.remedy != REMEDIES[failed.kind] else None,
        )
