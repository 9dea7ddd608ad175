"""What one worker learns, the others know: between threads, processes, and after a late start."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from aigateway import Gateway
from aigateway.blocking import Gateway as BlockingGateway
from aigateway.errors import Kind, ProviderError
from aigateway.plugins import ProviderRecord, Registry, hookimpl
from aigateway.providers import Options
from aigateway.state import of_group, of_key, of_model, of_provider
from aigateway.types import ChatRequest, ModelInfo, Reply, Target, Usage

pytestmark = pytest.mark.anyio

HERE = of_model("echo", "echo")
NAMES = [
    of_provider("echo"),
    HERE,
    of_group("echo", "default"),
    of_group("echo", "b", "m"),
    of_key("echo", "key-1a2b3c"),
]
Until = Callable[..., Any]


def rest(gateway: Gateway, name: tuple[str, ...] = HERE) -> Any:
    return gateway.memory.rests.find(name, time.monotonic())


def linked(gateway: Gateway) -> bool:
    """Tell whether a gateway that was used shares by now."""
    assert gateway.parts.mirror is not None
    return not gateway.parts.mirror.fault()


@pytest.fixture
async def pair(server: Any, sharing: Callable[..., Gateway], until: Until) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Give two gateways that share by now."""
    async with sharing(server.url) as one, sharing(server.url) as two:
        await one.chat("smart", "hi")
        await two.chat("smart", "hi")
        await until(lambda: linked(one) and linked(two))
        yield one, two


@pytest.mark.parametrize("name", NAMES, ids="-".join)
async def test_a_rest_here_is_a_rest_there(pair: tuple[Gateway, Gateway], until: Until, name: tuple[str, ...]) -> None:
    """Another gateway knows state, kind, turn and end of a rest, and when it is over."""
    here, there = pair
    mine = here.memory.rests.put(name, "cooldown", "rate_limit", time.monotonic(), wait=30.0)
    await until(lambda: rest(there, name))
    theirs = rest(there, name)

    assert mine[1:] == theirs[1:]
    assert mine.until == pytest.approx(theirs.until, abs=1.0)

    there.memory.rests.clear(name)
    await until(lambda: rest(here, name) is None)


async def test_who_put_it_to_rest_goes_first(pair: tuple[Gateway, Gateway], until: Until) -> None:
    """On probation the owner's claim keeps the others away, until it is given back."""
    here, there = pair
    there.memory.rests.grace = 0.0
    here.memory.rests.put(HERE, "open", "timeout", time.monotonic(), wait=0.2)
    await until(lambda: rest(there))
    await until(lambda: rest(here) is None)
    assert here.memory.rests.claim(HERE, time.monotonic())
    await anyio.sleep(0.2)

    assert rest(there)

    here.memory.rests.release(HERE)
    await until(lambda: rest(there) is None)
    for _ in range(3):
        here.memory.rests.answered(HERE, time.monotonic())
    await until(lambda: rest(there) is None and not there.memory.rests.on_probation(HERE, time.monotonic()))


async def test_a_process_does_not_hear_itself(pair: tuple[Gateway, Gateway], until: Until) -> None:
    """What a process said does not come back to it: it would undo what happened since."""
    here, there = pair
    here.memory.rests.put(HERE, "open", "timeout", time.monotonic(), wait=30.0)
    here.memory.rests.clear(HERE)
    mine = here.memory.rests.put(HERE, "open", "timeout", time.monotonic(), wait=20.0)
    await until(lambda: rest(there))
    there.memory.rests.put(NAMES[0], "cooldown", "rate_limit", time.monotonic(), wait=30.0)
    await until(lambda: rest(here, NAMES[0]))  # so everything before it has been delivered

    assert mine == rest(here)


async def test_another_prefix_or_database_is_another_place(server: Any, sharing: Any, until: Until) -> None:
    """Nothing crosses from one database or prefix to another, although channels know no databases."""
    urls = [server.url, server.url, server.url[:-1] + "1", server.url + "?prefix=other"]
    async with AsyncExitStack() as stack:
        all_of_them = [await stack.enter_async_context(sharing(url)) for url in urls]
        for gateway in all_of_them:
            await gateway.chat("smart", "hi")
        await until(lambda: all(map(linked, all_of_them)))
        all_of_them[0].memory.rests.put(HERE, "cooldown", "rate_limit", time.monotonic(), wait=30.0)
        await until(lambda: rest(all_of_them[1]))

        assert [None, None] == [rest(gateway) for gateway in all_of_them[2:]]


async def test_a_worker_that_starts_later_learns(server: Any, sharing: Any, until: Until) -> None:
    """What rests when a worker starts, it knows; what was cleared, it does not."""
    async with sharing(server.url) as early:
        await early.chat("smart", "hi")
        await until(lambda: linked(early))
        for name in NAMES:
            early.memory.rests.put(name, "suspended", "insufficient_funds", time.monotonic(), wait=600.0)
        early.memory.rests.clear(HERE)
        last = of_model("echo", "last")  # what is told after something else comes after it
        early.memory.rests.put(last, "suspended", "insufficient_funds", time.monotonic(), wait=600.0)
        await until(lambda: len(NAMES) < server.client().hlen("aigateway:0:rests:1"))
    async with sharing(server.url) as late:  # the early one is gone
        await late.chat("smart", "hi")
        others = [name for name in NAMES if name != HERE]
        await until(lambda: all(rest(late, name) for name in others))

        assert rest(late) is None
        assert 590 < rest(late, others[0]).until - time.monotonic() < 605


async def test_the_last_words_are_said(pair: tuple[Gateway, Gateway], until: Until) -> None:
    """What happened just before a gateway closes is shared all the same."""
    here, there = pair
    names = [of_model("echo", f"m{number}") for number in range(500)]
    for name in names:
        here.memory.rests.put(name, "cooldown", "rate_limit", time.monotonic(), wait=60.0)
    assert here.parts.mirror is not None
    here.parts.mirror.close()
    await until(lambda: all(rest(there, name) for name in names))

    assert here.memory.rests.tell is None


async def test_a_worker_that_starts_during_a_probation_lets_the_others_go_first(
    server: Any, sharing: Any, until: Until
) -> None:
    """A target whose rest has ended without proof is on probation for newcomers too, a moment later."""
    async with sharing(server.url) as early, sharing(server.url) as late:
        await early.chat("smart", "hi")
        early.memory.rests.put(HERE, "open", "timeout", time.monotonic(), wait=0.05)
        await until(lambda: rest(early) is None)
        await until(lambda: server.client().hlen("aigateway:0:rests:1"))
        await late.chat("smart", "hi")
        await until(lambda: rest(late))
        await until(lambda: rest(late) is None)

        assert late.memory.rests.on_probation(HERE, time.monotonic())


async def test_thousands_of_rests(server: Any, sharing: Any, until: Until) -> None:
    """As many rests as a gateway keeps are shared, and learnt by a late worker, within seconds."""
    names = [of_model("echo", f"m{number}") for number in range(4000)]
    async with sharing(server.url) as early, sharing(server.url) as peer, sharing(server.url) as late:
        await early.chat("smart", "hi")
        await peer.chat("smart", "hi")
        await until(lambda: linked(early) and linked(peer))
        for name in names:
            early.memory.rests.put(name, "cooldown", "rate_limit", time.monotonic(), wait=600.0)
        live = await until(lambda: all(rest(peer, name) for name in names))
        await late.chat("smart", "hi")
        stored = await until(lambda: all(rest(late, name) for name in names))
        print(f"4000 rests: told in {live:.2f} s, learnt by a late worker in {stored:.2f} s")  # noqa: T201  # a figure for people

        assert 8192 >= server.client().hlen("aigateway:0:rests:1")


@pytest.mark.alone("a second is what is claimed")
def test_between_processes_within_a_second(server: Any, worker: Any) -> None:
    """A rest made in one process is known in another, and cleared, far within a second."""
    here, there = worker(server.url), worker(server.url)
    here.do("put", HERE, 60.0)
    there.do("wait", HERE, True)
    here.do("clear", HERE)
    there.do("wait", HERE, False)
    made, ended = [], []
    for number in range(100):
        name = of_model("echo", f"m{number}")
        there.send("wait", name, True)
        at = here.do("put", name, 60.0)
        made.append(there.receive() - at)
        there.send("wait", name, False)
        at = here.do("clear", name)
        ended.append(there.receive() - at)
    for what, times in {"rests": made, "cleared": ended}.items():
        median, p99 = statistics.median(times) * 1000, sorted(times)[98] * 1000
        print(f"{what}: median {median:.1f} ms, p99 {p99:.1f} ms between two processes")  # noqa: T201  # a figure for people

    assert max(made + ended) < 1.0


def test_with_the_blocking_gateway(server: Any, worker: Any) -> None:
    """A program without an event loop shares as the others do."""
    other = worker(server.url)
    with BlockingGateway.from_config({**SETTINGS, "state": {"url": server.url}}) as gateway:
        assert "hi" == gateway.chat("smart", "hi").text
        other.do("put", HERE, 60.0)
        end = time.monotonic() + 20
        while gateway._gateway.memory.rests.find(HERE, time.monotonic()) is None:
            assert time.monotonic() < end
            time.sleep(0.002)


SETTINGS = {"providers": {"echo": {}}, "routes": {"smart": {"targets": ["echo/echo"]}}, "default_model": "smart"}


def test_in_a_forked_child(server: Any, worker: Any) -> None:
    """A fork leaves threads behind: the child begins anew and learns, the parent goes on sharing."""
    parent, other = worker(server.url), worker(server.url)
    other.do("put", of_model("a", "early"), 60.0)
    parent.do("wait", of_model("a", "early"), True)

    assert ["learned", ""] == parent.do("fork")

    other.do("wait", of_model("a", "child"), True)
    parent.do("put", of_model("a", "later"), 60.0)
    other.do("wait", of_model("a", "later"), True)
    other.do("clear", of_model("a", "later"))
    parent.do("wait", of_model("a", "later"), False)


# -- eight workers, one target coming back ---------------------------------------------------------


class Vendor:
    """A vendor that is down until it is healed, and counts who asks it at the same time."""

    operations = frozenset({"chat"})

    def __init__(self) -> None:
        self.name, self.is_up = "vendor", False
        self.asked = self.now = 0
        self.at_once: list[int] = []

    def models(self) -> list[ModelInfo]:
        return []

    async def answer(self, request: ChatRequest, target: Target) -> Reply:
        self.asked += 1
        if not self.is_up:
            raise ProviderError(Kind.SERVER_ERROR, "down")
        self.now += 1
        self.at_once.append(self.now)
        await anyio.sleep(0.2)
        self.now -= 1
        choice = {"index": 0, "message": {"role": "assistant", "content": "up"}, "finish_reason": "stop"}
        return Reply({"id": "a", "model": "m", "choices": [choice]}, Usage())


class Plugin:
    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor

    @hookimpl
    def aigateway_providers(self) -> Iterator[ProviderRecord]:
        yield ProviderRecord("vendor", self._give, needs_key=False)

    def _give(self, options: Options) -> Vendor:
        return self.vendor


def at_vendor(sharing: Any, url: str, vendor: Vendor) -> Gateway:
    """Make a worker that asks the vendor first, then the echo."""
    registry = Registry()
    registry.register(Plugin(vendor), "vendor")
    providers: dict[str, Any] = {"vendor": {}, "echo": {}}
    routes = {"smart": {"targets": ["vendor/m", "echo/echo"]}}
    return sharing(url, registry, providers=providers, routes=routes)  # type: ignore[no-any-return]


async def test_eight_workers_send_one_probe(server: Any, sharing: Any, until: Until) -> None:
    """A target that comes back is asked by one worker at a time until it is proven well; then by all."""
    vendor, here = Vendor(), of_model("vendor", "m")
    async with AsyncExitStack() as stack, anyio.create_task_group() as group:
        workers = [await stack.enter_async_context(at_vendor(sharing, server.url, vendor)) for _ in range(8)]
        for gateway in workers:
            await gateway.chat("echo/echo", "hi")
        await until(lambda: all(map(linked, workers)))
        while rest(workers[0], here) is None:
            await workers[0].chat("smart", "hi")
        await until(lambda: all(rest(gateway, here) for gateway in workers))
        vendor.is_up = True
        answers: list[str] = []

        async def keep_asking(gateway: Gateway) -> None:
            while True:
                reply = await gateway.chat("smart", "hi")
                answers.append(reply.text)
                await anyio.sleep(0.01)

        for gateway in workers:
            group.start_soon(keep_asking, gateway)
        await until(lambda: max(vendor.at_once, default=0) == 8)  # all of them, at last
        group.cancel_scope.cancel()

    assert [1, 1, 1] == vendor.at_once[:3]  # the three answers it owed, one after the other
    assert {"hi", "up"} == set(answers)


async def test_one_key_or_target_rested_by_one_worker_is_skipped_by_the_others(
    server: Any, sharing: Any, until: Until
) -> None:
    """Workers do not each find out by themselves: who never failed goes elsewhere at once."""
    vendor = Vendor()
    async with at_vendor(sharing, server.url, vendor) as one, at_vendor(sharing, server.url, vendor) as two:
        await one.chat("echo/echo", "hi")
        await two.chat("echo/echo", "hi")
        await until(lambda: linked(one) and linked(two))
        while rest(one, of_model("vendor", "m")) is None:
            await one.chat("smart", "hi")
        await until(lambda: rest(two, of_model("vendor", "m")))
        asked = vendor.asked
        reply = await two.chat("smart", "hi")

        assert (asked, "hi") == (vendor.asked, reply.text)
