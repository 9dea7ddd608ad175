"""A Redis that is dead, frozen, wrong or hostile: no request notices, the log says it once, it mends itself."""

from __future__ import annotations

import json
import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest
import redis
from redis._parsers.base import BaseParser

from aigateway import Gateway
from aigateway.state import of_model
from aigateway_redis._link import is_replicas

pytestmark = pytest.mark.anyio

HERE = of_model("echo", "echo")
KEY = "aigateway:0:rests:1"
Until = Callable[..., Any]
REQUESTS = 200
# The thread does not care which event loop asks; what is slow is shown on one.
once = pytest.mark.parametrize("anyio_backend", ["asyncio"])


def rest(gateway: Gateway, name: tuple[str, ...] = HERE) -> Any:
    return gateway.memory.rests.find(name, time.monotonic())


def put(gateway: Gateway, name: tuple[str, ...], seconds: float = 60.0) -> None:
    gateway.memory.rests.put(name, "cooldown", "rate_limit", time.monotonic(), wait=seconds)


def fault(gateway: Gateway) -> str:
    assert gateway.parts.mirror is not None
    return gateway.parts.mirror.fault()


@asynccontextmanager
async def shared(sharing: Any, until: Until, *urls: str) -> AsyncIterator[list[Gateway]]:
    """Give gateways that share by now."""
    gateways = [sharing(url) for url in urls]
    try:
        for gateway in gateways:
            await gateway.chat("smart", "hi")
        await until(lambda: not any(map(fault, gateways)))
        yield gateways
    finally:
        for gateway in gateways:
            await gateway.aclose()


async def ask(gateway: Gateway, meanwhile: Callable[[], None] | None = None) -> list[float]:
    """Send requests, with something to tell all the time; give how long each took."""
    times = []
    for number in range(REQUESTS):
        if number == REQUESTS // 4 and meanwhile:
            meanwhile()
        put(gateway, of_model("echo", f"m{number}"))
        began = time.perf_counter()
        assert "hi" == (await gateway.chat("smart", "hi")).text
        times.append(time.perf_counter() - began)
        await anyio.sleep(0.002)
    return sorted(times)


# -- no request notices ---------------------------------------------------------------------------


@contextmanager
def black_hole() -> Iterator[str]:
    """Give the URL of something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as hole:
        yield f"redis://127.0.0.1:{hole.getsockname()[1]}"


@pytest.mark.alone("compares milliseconds")
@pytest.mark.parametrize("what", ["fine", "killed", "frozen", "refused", "silent"])
async def test_no_request_notices(server: Any, sharing: Any, until: Until, what: str) -> None:
    """With a Redis that dies, freezes or was never there, 200 requests are served as fast as without one."""
    happens = {"killed": server.kill, "frozen": server.freeze}.get(what)
    with black_hole() as silent:
        if what == "refused":
            server.kill()
        url = silent if what == "silent" else server.url
        async with sharing("memory:") as without, sharing(url) as gateway:
            await without.chat("smart", "hi")
            alone = await ask(without)
            await gateway.chat("smart", "hi")
            if what not in {"refused", "silent"}:
                await until(lambda: not fault(gateway))
            times = await ask(gateway, happens)
            began = time.monotonic()
            await gateway.aclose()
            closing = time.monotonic() - began
    if what == "frozen":
        server.thaw()
    print(f"{what}: p50 {times[100] * 1e6:.0f} us, p99 {times[197] * 1e6:.0f} us; without: {alone[197] * 1e6:.0f} us")  # noqa: T201  # a figure for people

    assert times[197] < max(0.05, 5 * alone[197])
    assert closing < 2.0  # a second, on a machine that is busy


@once
async def test_a_frozen_redis_is_noticed_and_left(server: Any, sharing: Any, until: Until) -> None:
    """One that holds its connections and is silent counts as gone within seconds; what it missed it is told later."""
    async with shared(sharing, until, server.url, server.url) as (one, two):
        server.freeze()
        await until(lambda: fault(one) and fault(two), 10.0)  # sooner than anything would be said to it
        put(one, HERE)
        server.thaw()
        took = await until(lambda: rest(two))

    assert took < 5.0


async def test_sharing_resumes_when_redis_is_back(server: Any, sharing: Any, until: Until, caplog: Any) -> None:
    """A Redis that comes back, empty, is filled again within seconds; the log has one line for each."""
    caplog.set_level(logging.INFO, "aigateway.redis")
    before, during, cleared = (of_model("echo", name) for name in ("before", "during", "cleared"))
    async with shared(sharing, until, server.url, server.url) as (one, two):
        put(one, before)
        put(one, cleared)
        await until(lambda: rest(two, before) and rest(two, cleared))
        server.kill()
        await until(lambda: fault(one) and fault(two))
        put(one, during)
        await anyio.sleep(0.3)  # later than it was put, and not only by what a message takes
        two.memory.rests.clear(cleared)
        server.start()
        took = await until(lambda: rest(two, during) and not rest(one, cleared))
        async with shared(sharing, until, server.url) as (late,):
            await until(lambda: rest(late, before) and rest(late, during))

            assert not rest(late, cleared)
            assert not rest(two, cleared)
    print(f"sharing resumed {took:.2f} s after Redis was back")  # noqa: T201  # a figure for people

    assert took < 5.0
    said = [record.getMessage() for record in caplog.records if record.name == "aigateway.redis"]
    assert 2 == sum("nothing is shared" in line for line in said)  # two gateways
    assert 2 == sum("shared again" in line for line in said)
    assert 4 == len(said)


async def test_it_may_come_up_later(stopped_server: Any, sharing: Any, until: Until) -> None:
    """A gateway starts without Redis, says so, and shares once it is there."""
    async with sharing(stopped_server.url) as one, sharing(stopped_server.url) as two:
        for gateway in (one, two):
            await gateway.chat("smart", "hi")
        await until(lambda: "nothing is shared" in fault(one))
        put(one, HERE)
        stopped_server.start()
        await until(lambda: rest(two) and not fault(one) and not fault(two))


# -- a wrong Redis --------------------------------------------------------------------------------


@once
@pytest.mark.parametrize("user", ["", "somebody"])
async def test_a_wrong_password(stopped_server: Any, sharing: Any, until: Until, caplog: Any, user: str) -> None:
    """It is said in the log and by fault(), without the password, and requests go on."""
    stopped_server.start(password="the-right-one")
    secret = "p%40ss-w0rd%2Fsecret"
    url = stopped_server.url.replace("//", f"//{user}:{secret}@")
    async with sharing(url) as gateway:
        assert "hi" == (await gateway.chat("smart", "hi")).text
        await until(lambda: "nothing is shared" in fault(gateway))
        shown = caplog.text + fault(gateway) + repr(gateway.parts.mirror) + repr(gateway.settings)

    assert "AuthenticationError" in shown
    assert not [part for part in ("p@ss", "p%40ss", "w0rd", "secret") if part in shown]


@once
async def test_a_missing_password(stopped_server: Any, sharing: Any, until: Until) -> None:
    """So is a password that is needed and was not given."""
    stopped_server.start(password="the-right-one")
    async with sharing(stopped_server.url) as gateway:
        await gateway.chat("smart", "hi")
        await until(lambda: "nothing is shared (Authentication" in fault(gateway))


async def test_the_right_password(stopped_server: Any, sharing: Any, until: Until) -> None:
    """With the right password, percent-encoded in the URL, everything is shared."""
    stopped_server.start(password="p@ss/#w")
    url = stopped_server.url.replace("//", "//:p%40ss%2F%23w@")
    async with shared(sharing, until, url, url) as (one, two):
        put(one, HERE)
        await until(lambda: rest(two))


@once
async def test_over_a_unix_socket(stopped_server: Any, sharing: Any, until: Until) -> None:
    """`unix://` names a socket on this machine."""
    # A socket's path has room for about 100 characters, pytest's folders may be longer.
    with tempfile.TemporaryDirectory(prefix="gw-", dir="/tmp") as folder:
        stopped_server.start("--unixsocket", f"{folder}/redis.sock")
        url = f"unix://{folder}/redis.sock?db=3"
        async with shared(sharing, until, url, url) as (one, two):
            put(one, HERE)
            await until(lambda: rest(two))

            assert 1 == redis.Redis(port=stopped_server.port, db=3).hlen("aigateway:3:rests:1")


@once
async def test_tls_that_is_none(server: Any, sharing: Any, until: Until) -> None:
    """`rediss://` to a server without TLS is refused, not answered in the clear."""
    async with sharing(server.url.replace("redis:", "rediss:")) as gateway:
        await gateway.chat("smart", "hi")
        await until(lambda: "nothing is shared" in fault(gateway))


def no_room(client: redis.Redis) -> None:
    client.config_set("maxmemory", "1")


def room(client: redis.Redis) -> None:
    client.config_set("maxmemory", "0")


def not_a_hash(client: redis.Redis) -> None:
    client.delete(KEY)
    client.set(KEY, "somebody else's")


def nothing(client: redis.Redis) -> None:
    client.delete(KEY)


def no_scripts(client: redis.Redis) -> None:
    client.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"], commands=["-eval"])


def scripts(client: redis.Redis) -> None:
    client.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"])


@once
@pytest.mark.parametrize(("breaks", "mends"), [(no_room, room), (not_a_hash, nothing), (no_scripts, scripts)])
async def test_a_redis_that_keeps_nothing(
    server: Any, sharing: Any, until: Until, caplog: Any, breaks: Any, mends: Any
) -> None:
    """Where nothing can be kept, what happens is shared all the same, the fault says so, and it mends itself."""
    first, second = of_model("echo", "first"), of_model("echo", "second")
    async with shared(sharing, until, server.url, server.url) as (one, two):
        with server.client() as client:
            breaks(client)
            put(one, first)
            await until(lambda: rest(two, first))
            await until(lambda: "processes that start later do not learn" in fault(one))
            put(one, second)
            await until(lambda: rest(two, second))
            mends(client)
            await until(lambda: not fault(one))
        async with shared(sharing, until, server.url) as (late,):
            await until(lambda: rest(late, first) and rest(late, second))
    assert 1 == caplog.text.count("processes that start later do not learn")


@once
async def test_a_replica_is_left_until_it_can_be_written(server: Any, sharing: Any, until: Until, caplog: Any) -> None:
    """A read-only replica is no place to share; when it is promoted, sharing goes on."""
    async with shared(sharing, until, server.url, server.url) as (one, two):
        with server.client() as client:
            client.replicaof("127.0.0.1", "1")
            put(one, HERE)
            await until(lambda: "READONLY" in fault(one) and "nothing is shared" in fault(one))
            client.replicaof("NO", "ONE")
            await until(lambda: rest(two))
            await until(lambda: not fault(one))
    assert 1 == sum("READONLY" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("said", "replica"),
    [
        ("READONLY You can't write against a read only replica.", True),
        ("READONLY You can't write against a read only replica. script: 5b, on @user_script:1.", True),  # Redis 7
        ("ERR Error running script (call to f_5b): @user_script:1: -READONLY You can't write against a replica", True),
        ("OOM command not allowed when used memory > 'maxmemory'.", False),
    ],
)
def test_what_a_replica_says(said: str, replica: bool) -> None:
    """However its version words it, and whatever the client makes of the first word."""
    assert replica is is_replicas(BaseParser.parse_error(said))


@once
async def test_a_cluster_node_is_no_reason_to_fail(stopped_server: Any, sharing: Any, until: Until) -> None:
    """A node that will not keep our key still carries what is said."""
    stopped_server.start("--cluster-enabled", "yes")
    async with sharing(stopped_server.url) as one, sharing(stopped_server.url) as two:
        for gateway in (one, two):
            await gateway.chat("smart", "hi")
        await until(lambda: all("processes that start later" in fault(gateway) for gateway in (one, two)))
        put(one, HERE)
        await until(lambda: rest(two))


# -- a hostile Redis ------------------------------------------------------------------------------

NAME = ["model", "echo", "echo"]
GOOD: dict[str, Any] = {
    "name": NAME, "what": "rest", "age": 0, "left": 60.0, "over": False, "state": "cooldown", "kind": "k", "times": 1,
    "proofs": 0,
}  # fmt: skip  # as it is on the wire
GARBAGE = [
    b"", b"\xff\xfe", b"null", b"[]", b"7", b"{", b"[" * 100_000, b'{"from": 7, "changes": []}', b" " * 300_000,
    json.dumps({"from": "a-1", "changes": {}}).encode(), b'{"from": "a-1", "changes": [7, null, [], "x"]}',
    json.dumps({"from": "\x1b[31m", "changes": [GOOD]}).encode(),
]  # fmt: skip  # a list of bytes
BAD: list[dict[str, Any]] = [
    {"name": None}, {"name": []}, {"name": "model"}, {"name": ["model", "echo"]}, {"name": [*NAME, "x"]},
    {"name": ["model", 7, "echo"]}, {"name": ["planet", "echo", "echo"]}, {"name": ["model", "echo", "x" * 10_000]},
    {"what": "explode"}, {"what": []}, {"age": -1}, {"age": "0"}, {"age": float("nan")}, {"left": float("inf")},
    {"left": 1e300}, {"left": 90_001}, {"left": True}, {"left": None}, {"left": 10**400}, {"state": "dead"},
    {"state": ["open"]}, {"kind": "Kind!"}, {"kind": "x" * 100}, {"kind": 7}, {"times": 0}, {"times": 1e12},
    {"proofs": -1}, {"proofs": 101}, {"proofs": None},
]  # fmt: skip  # a row each would be three pages


@once
async def test_garbage_is_passed_over(server: Any, sharing: Any, until: Until, caplog: Any) -> None:
    """Whatever is published or kept under our name, nothing is believed that we would not say, and nothing breaks."""
    rows = [{**GOOD, **bad} for bad in BAD]
    async with shared(sharing, until, server.url) as (one,):
        with server.client() as client:
            for message in GARBAGE:
                client.publish(KEY, message)
            for row in rows:
                client.publish(KEY, json.dumps({"from": "a-1", "changes": [row]}))
            for number, row in enumerate([*map(json.dumps, rows), "", "1 2", "x y z", "9" * 400]):
                far = int(time.time() * 1000) + 10**9
                for head in ("", "1 2 3 ", f"1 {far} {far} ", f"{'9' * 400} {'9' * 400} {'9' * 400} "):
                    client.hset(KEY, f"garbage-{number}-{len(head)}", head + row)
            client.publish(
                KEY, json.dumps({"from": "a-1", "changes": [{"no": "thing"}, {**GOOD, "name": ["key", "echo", "k"]}]})
            )
            await until(lambda: rest(one, ("key", "echo", "k")))
            async with shared(sharing, until, server.url) as (late,):
                assert "hi" == (await late.chat("smart", "hi")).text
                assert [] == list(late.memory.rests.listing(time.monotonic()))

    assert [("key", "echo", "k")] == [name for name, _ in one.memory.rests.listing(time.monotonic())]
    assert "" == "".join(record.getMessage() for record in caplog.records if record.name == "aigateway.redis")


async def test_an_old_word_does_not_undo_a_newer_one(server: Any, sharing: Any, until: Until) -> None:
    """What a process repeats after an outage counts by its age: a rest that was cleared since does not come back."""
    async with shared(sharing, until, server.url, server.url) as (one, two):
        put(one, HERE)
        await until(lambda: rest(two))
        one.memory.rests.clear(HERE)
        await until(lambda: not rest(two))
        old = {**GOOD, "age": 100}
        with server.client() as client:
            client.publish(KEY, json.dumps({"from": "a-1", "again": True, "changes": [old]}))
            client.publish(
                KEY, json.dumps({"from": "a-1", "again": True, "changes": [{**old, "name": ["key", "a", "k"]}]})
            )
        await until(lambda: rest(one, ("key", "a", "k")) and rest(two, ("key", "a", "k")))

        assert [None, None] == [rest(one), rest(two)]


@once
async def test_a_flood_does_not_fill_the_memory(server: Any, sharing: Any, until: Until) -> None:
    """However many names others talk of, this process remembers as many as it would of its own."""
    async with shared(sharing, until, server.url) as (one,):
        with server.client() as client:
            for start in range(0, 6000, 1000):
                names = [["model", "echo", f"m{number}"] for number in range(start, start + 1000)]
                changes = [{**GOOD, "name": name} for name in names]
                changes += [
                    {"name": [*name[:2], name[2] + "c"], "what": "claim", "age": 0, "left": 100} for name in names
                ]
                for half in (changes[:1000], changes[1000:]):
                    client.publish(KEY, json.dumps({"from": "a-1", "changes": half}))
            client.publish(
                KEY, json.dumps({"from": "a-1", "changes": [{**GOOD, "name": ["model", "echo", "m0"], "left": 80}]})
            )
            await until(lambda: (found := rest(one, of_model("echo", "m0"))) and found.until - time.monotonic() > 65)

        assert len(one.memory.rests._rests) <= 4096
        assert len(one.memory.rests._claims) <= 4096


@once
async def test_a_hash_full_of_garbage_is_emptied(server: Any, sharing: Any, until: Until) -> None:
    """What others put into our hash does not keep our own out."""
    with server.client() as client:
        for start in range(0, 20_000, 1000):
            client.hset(KEY, mapping={f"f{number}": "garbage" for number in range(start, start + 1000)})
        async with shared(sharing, until, server.url) as (one,):
            put(one, HERE)
            await until(lambda: client.hexists(KEY, json.dumps(HERE, separators=(",", ":"))))

            assert client.hlen(KEY) < 8192
            assert 0 < client.ttl(KEY) <= 90_000


# -- nothing is left ------------------------------------------------------------------------------


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("aigateway-redis")]


@pytest.mark.parametrize("phase", ["sharing", "refused", "silent", "frozen", "at once"])
async def test_nothing_is_left_after_closing(server: Any, sharing: Any, until: Until, phase: str) -> None:
    """In whatever phase it is closed: no thread, no socket, no file, and it can be entered again."""
    with black_hole() as silent:
        if phase == "refused":
            server.kill()
        gateway = sharing(silent if phase == "silent" else server.url)
        async with sharing("memory:") as other:  # what the first use of a loop leaves is not ours
            await other.chat("smart", "hi")
            await anyio.to_thread.run_sync(lambda: None)
        files = open_files()
        for _ in range(3):
            async with gateway:
                await gateway.chat("smart", "hi")
                if phase in {"sharing", "frozen"}:
                    await until(lambda: not fault(gateway))
                elif phase != "at once":
                    await until(lambda: our_threads())
                    await anyio.sleep(0.05)
                if phase == "frozen":
                    server.freeze()
                    put(gateway, of_model("echo", "other"))
                began = time.monotonic()
            took = time.monotonic() - began
            if phase == "frozen":
                server.thaw()

            assert took < 2.0  # a second, on a machine that is busy
            assert [] == our_threads()
            assert "" == fault(gateway)
            await until(lambda: open_files() <= files)
