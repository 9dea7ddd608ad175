"""Play a scenario: the real gateway, on trio's virtual clock, over simulated vendors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import anyio

from ...errors import ConfigurationError, GatewayError, NoAnswer, Refusal, RequestError, StreamInterrupted
from ...exchange import Exchange
from ...gateway import Gateway
from ...plugins import Registry
from ...state import Change
from ...types import IN_PROCESS, Caller, ChatRequest
from .._clock import LoopClock
from ._arrivals import questions
from ._calls import Asked, Event, Question, Upstream
from ._dialects import DIALECTS, said
from ._network import Account, Network
from ._order import repeatable
from ._scenario import Plan, host_of
from ._vendor import Vendor

__all__ = ["NOBODY", "Played", "Tell", "play"]

# A person's words; sizes are stated beside them, so that nothing long has to be carried about.
SAYS = "A simulated question."
Tell = Callable[[int], object]
NOBODY: Tell = lambda asked: None  # noqa: E731  # a default, not a function


@dataclass(frozen=True)
class Played:
    """What was seen: by clients, by vendors, of what rests; and the gateway as it was left."""

    plan: Plan
    asked: list[Asked]
    upstream: list[Upstream]
    events: list[Event]
    seconds: float
    gateway: Gateway


class Play:
    """One scenario under way."""

    def __init__(self, plan: Plan, registry: Registry | None, tell: Tell) -> None:
        self._tell = tell
        seed = plan.scenario.seed
        self.clock = LoopClock(plan.scenario.start)
        self.network = Network(_vendors(plan), _accounts(plan))
        self.gateway = Gateway(plan.settings, registry=registry, transport=self.network, clock=self.clock, seed=seed)
        self.gateway.memory.rests.tell = self._note
        self.asked: list[Asked] = []
        self.events: list[Event] = []
        self._plan = plan

    async def run(self, workload: Iterable[Question] | None) -> float:
        """Ask every question at its time; give the time when the last was over."""
        if workload is None:
            _check_model(self.gateway, self._plan)
            workload = questions(self._plan.scenario, self._plan.model)
        async with self.gateway, anyio.create_task_group() as clients:
            for question in workload:
                await anyio.sleep(max(0.0, question.at - self.clock.now()))
                asked = Asked(question)
                self.asked.append(asked)
                self._tell(len(self.asked))
                clients.start_soon(self._ask, asked)
        return self.clock.now()

    async def _ask(self, asked: Asked) -> None:
        question, began = asked.question, self.clock.now()
        self.network.questions[question.number] = question
        with anyio.move_on_after(question.leaves) as patience:
            await self._answer(asked)
        del self.network.questions[question.number]
        asked.seconds = self.clock.now() - began
        if patience.cancelled_caught or asked.state == "open":
            asked.state, asked.reason = "cancelled", "the client left"

    async def _answer(self, asked: Asked) -> None:
        question = asked.question
        call = self.gateway.call(_request(question), timeout=question.deadline, caller=_caller(question))
        asked.deadline = call.timeout
        try:
            exchange = await self.gateway.open(call)
            try:
                await self._read(asked, exchange)
            finally:
                await exchange.aclose()
            asked.state = "served"
            asked.garbled = asked.text != self._expected(asked.question)
        except StreamInterrupted as error:
            asked.state, asked.reason = "interrupted", str(error.cause_kind)
            asked.garbled = not self._expected(asked.question).startswith(asked.text)
        except GatewayError as error:
            asked.state, asked.reason = "failed", f"{error.status} {error.code or error.type}"
            if isinstance(error, NoAnswer | Refusal):
                asked.retry_after = error.retry_after
        finally:
            asked.decision = call.trace.freeze()

    async def _read(self, asked: Asked, exchange: Exchange) -> None:
        began = exchange.call.started
        if exchange.reply is not None:
            asked.text = exchange.reply.text
            asked.first_content = self.clock.now() - began
            return
        while batch := await exchange.read():
            if asked.first_content is None and any(chunk.text or chunk.reasoning for chunk in batch):
                asked.first_content = self.clock.now() - began
            asked.text += "".join(chunk.text for chunk in batch)

    def _expected(self, question: Question) -> str:
        pieces = self._plan.scenario.request.pieces
        return said("", f"#{question.number}", question.prompt, question.tokens, pieces).content

    def _note(self, change: Change) -> None:
        what, *names = change.name
        rest = change.rest
        state, kind, seconds = (rest.state, rest.kind, rest.until) if rest else ("", "", 0.0)
        name = f"{what} {'/'.join(filter(None, names))}"
        self.events.append(Event(self.clock.now(), name, change.what, state, kind, round(seconds, 6)))


def _request(question: Question) -> ChatRequest:
    words = f"#{question.number} {SAYS}"
    words += " " + "x" * (4 * question.prompt - len(words)) if question.filled else ""
    fields = {"model": question.model, "stream": question.stream, "messages": [{"role": "user", "content": words}]}
    return ChatRequest.parse({**fields, "routing": dict(question.routing) or None})


def _caller(question: Question) -> Caller:
    return Caller(question.caller, tenant=question.caller) if question.caller else IN_PROCESS


def play(
    plan: Plan, workload: Iterable[Question] | None = None, *, registry: Registry | None = None, tell: Tell = NOBODY
) -> Played:
    """Play a scenario to its end, or the questions of `workload` in its place.

    `tell` is called with how many were asked so far. Raises ConfigurationError where it cannot be played.
    """
    if find_spec("trio") is None:
        raise ConfigurationError("the simulator needs trio, which is not installed. Install aigateway[testing].")
    import trio
    import trio.testing

    found = Play(plan, registry, tell)
    clock = trio.testing.MockClock(autojump_threshold=0)
    with repeatable(plan.scenario.seed):
        seconds: float = trio.run(found.run, workload, clock=clock)
    return Played(plan, found.asked, found.network.calls, found.events, seconds, found.gateway)


def _check_model(gateway: Gateway, plan: Plan) -> None:
    """Refuse a model nobody has before thousands ask for it."""
    request = ChatRequest.parse({"model": plan.model, "messages": [{"role": "user", "content": SAYS}]})
    try:
        gateway.plan.resolve(gateway.call(request))
    except RequestError as error:
        raise ConfigurationError(f"request.model: {error.message}") from None


def _vendors(plan: Plan) -> Mapping[str, Vendor]:
    vendors = {}
    for index, (name, behaviour) in enumerate(plan.behaviours.items()):
        dialect = DIALECTS.get(plan.types[name], DIALECTS["openai"])("simulated", plan.scenario.seed)
        pieces, seed = plan.scenario.request.pieces, plan.scenario.seed
        vendors[host_of(index)] = Vendor(name, behaviour, dialect, pieces=pieces, seed=seed)
    return vendors


def _accounts(plan: Plan) -> Mapping[str, Account]:
    found = {}
    for provider in plan.settings.providers.values():
        for number, key in enumerate(provider.keys, 1):
            found[key.secret.reveal()] = Account(number, key.quota_group)
    return found
