"""The rows of the wall, and what it takes to try them: vendors, a gateway, a way to ask it.

A row is an async function that plays a fault on a `Stage` and asserts what must be seen; `@row`
registers it and makes a pytest test of it. The tests and `python -m tests.faults` run the same rows.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import anyio
import pytest
from anyio.abc import TaskGroup

from aigateway import Gateway
from aigateway.types import Target

from .ask import Answer, Way
from .serving import Server
from .settings import DEFAULTS, SIXTEEN, Names, hosts
from .vendor import Vendor, listening

__all__ = [
    "DOORS", "MODULES", "ROWS", "SERVED", "Case", "Row", "Stage", "Verdict", "as_promised", "fault", "listened", "row",
    "staged",
]  # fmt: skip  # a list of names

SERVED = ("served",)
DOORS = (*SERVED, "aiohttp", "httpx2", "trio")  # the last is httpx2 on trio
MODULES = ("test_sixteen", "test_rows_a", "test_rows_b", "test_rows_c", "test_rows_d")
Scenario = Callable[["Stage"], Awaitable[str | None]]
Network = Callable[[Mapping[str, Vendor]], AbstractAsyncContextManager[Mapping[str, str]]]


class Case(NamedTuple):
    """One row, by one way in, under one configuration."""

    row: str
    door: str
    terms: str

    def __str__(self) -> str:
        return self.door if self.terms == "plain" else f"{self.door}-{self.terms}"


class Verdict(NamedTuple):
    """What was seen, and what was missed (empty for full marks).

    `harm` is what no configuration excuses: a caller without an answer where one was due, or something left over.
    """

    seen: str
    missed: str = ""
    harm: str = ""


@dataclass(frozen=True)
class Row:
    """One fault, what full marks are, and how both are found out.

    `settings` are configurations by name; `alone` wants a server process of its own, `network`
    stands between the gateway and its vendors; `by_default` says why the defaults miss it; `takes`
    is about how many seconds it takes at full scale.
    """

    number: str
    text: str
    scenario: Scenario
    settings: Mapping[str, str]
    doors: Sequence[str] = DOORS
    alone: bool = False
    network: Network | None = None
    by_default: str = ""
    takes: float = 0.0

    @property
    def name(self) -> str:
        """Name it as its test."""
        return self.scenario.__name__

    @property
    def cases(self) -> list[Case]:
        """List the ways it is tried."""
        return [Case(self.name, door, terms) for terms in self.settings for door in self.doors]


ROWS: dict[str, Row] = {}


def row(number: str, settings: str = DEFAULTS, **options: Any) -> Callable[[Scenario], Callable[..., None]]:
    """Register a row of A-D, and make a test of it."""
    return lambda scenario: _register(Row(number, _text(scenario), scenario, {"plain": settings}, **options))


def fault(number: int, **options: Any) -> Callable[[Scenario], Callable[..., None]]:
    """Register one of the sixteen: with `sixteen.toml`, and with the defaults."""
    settings = {"sixteen": SIXTEEN, "defaults": DEFAULTS}
    return lambda scenario: _register(Row(str(number), _text(scenario), scenario, settings, **options))


def _register(new: Row) -> Callable[..., None]:
    ROWS[new.name] = new

    @pytest.mark.alone("one process tries all cases beside each other, and their timers are short")
    @pytest.mark.parametrize("case", new.cases, ids=str)
    def test(case: Case, verdicts: Mapping[Case, Verdict]) -> None:
        verdict = verdicts[case]
        if as_promised(case, verdict):
            return
        if case.terms == "defaults" and new.by_default and not verdict.missed:
            raise AssertionError(f"the defaults pass now, though: {new.by_default}")
        raise AssertionError(f"{verdict.harm or verdict.missed}\nseen: {verdict.seen}")

    test.__name__, test.__doc__, test.__module__ = new.name, new.text, new.scenario.__module__
    return test


def as_promised(case: Case, verdict: Verdict) -> bool:
    """Tell whether full marks were given, or missed as the row says that the defaults do, without harm."""
    if case.terms == "defaults" and ROWS[case.row].by_default:
        return bool(verdict.missed) and not verdict.harm
    return not verdict.missed


def _text(scenario: Scenario) -> str:
    return " ".join((inspect.getdoc(scenario) or "").split())


@dataclass
class Stage:
    """One row under way: its vendors, a way to ask, what was answered."""

    case: Case
    row: Row
    scale: float
    vendors: dict[str, Vendor]
    names: Names
    way: Way | None = None
    server: Server | None = None
    gateway: Gateway | None = None
    answers: list[Answer] = field(default_factory=list)

    @property
    def primary(self) -> Vendor:
        """Give the vendor the route names first."""
        return self.vendors["primary"]

    @property
    def fallback(self) -> Vendor:
        """Give the vendor the route names second."""
        return self.vendors["fallback"]

    @property
    def served(self) -> bool:
        """Tell whether it is asked over HTTP."""
        return self.case.door == "served"

    def seconds(self, full: float) -> float:
        """Give a time at this run's scale."""
        return full * self.scale

    def within(self, full: float) -> float:
        """Give a bound at this run's scale; a shortened one with what a busy machine adds."""
        return full * self.scale + (0.0 if self.scale == 1.0 else 8.0)

    async def ask(self, model: str = "smart", **fields: Any) -> Answer:
        """Ask for an answer, a stream unless `stream=False`."""
        if self.way is None:
            raise RuntimeError("this row's gateway is not open")
        answer = await self.way.ask(self.names.own(model), **fields)
        answer.provider = self.names.plain(answer.provider)
        self.answers.append(answer)
        return answer

    def calls(self, name: str, model: str = "") -> int:
        """Count the calls to a vendor, for one model or for all."""
        asked = self.vendors[name].asked
        return sum(not model or call.body.get("model") == model for call in asked)

    def failures(self, target: str) -> int | None:
        """Say how many failures are counted against a target; None where only the process knows."""
        if self.gateway is None:
            return None
        provider, _, model = self.names.own(target).partition("/")
        return self.gateway.memory.facts(Target(provider, model)).failed

    @property
    def log(self) -> str:
        """Give what was logged about this row's providers."""
        lines = LOGGED.lines if self.server is None else self.server.log.splitlines()
        return "\n".join(self.names.plain(line) for line in lines if self.names.mark in line)

    def summary(self) -> str:
        """Say what was seen: the last answer, and how often who was asked."""
        calls = ", ".join(f"{name} asked {len(vendor.asked)}x" for name, vendor in self.vendors.items())
        return f"{self.answers[-1]}; {calls}" if self.answers else calls


class _Logged(logging.Handler):
    """Keep what this process's gateways log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._lock = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        with self._lock:
            self.lines.append(f"{record.levelname} {record.getMessage()}")


LOGGED = _Logged()


@contextmanager
def listened() -> Iterator[None]:
    """Keep what this process's gateways log meanwhile."""
    logger = logging.getLogger("aigateway")
    logger.addHandler(LOGGED)
    try:
        yield
    finally:
        logger.removeHandler(LOGGED)


@asynccontextmanager
async def staged(cases: Iterable[Case], scale: float) -> AsyncIterator[list[Stage]]:
    """Set up the vendors of rows; the gateways come after them, for they must know the addresses."""
    async with anyio.create_task_group() as tasks, AsyncExitStack() as stack:
        yield [await _stage(case, f"{number}{case.door}", scale, tasks, stack) for number, case in enumerate(cases)]
        tasks.cancel_scope.cancel()


async def _stage(case: Case, suffix: str, scale: float, tasks: TaskGroup, stack: AsyncExitStack) -> Stage:
    found = ROWS[case.row]
    text = found.settings[case.terms]
    vendors = {}
    for name in hosts(text):
        vendors[name], listener = listening(name, tasks)
        stack.enter_context(listener)
    urls = {name: vendor.url for name, vendor in vendors.items()}
    if found.network is not None:
        urls |= await stack.enter_async_context(found.network(vendors))
    return Stage(case, found, scale, vendors, Names(text, urls, suffix))
