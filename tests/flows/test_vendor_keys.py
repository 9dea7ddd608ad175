"""A vendor's key is replaced while requests come in: nobody notices, and a wrong one is put aside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from aigateway import Gateway
from aigateway.errors import GatewayError, NoAnswer

from .keyed_vendor import Vendor, vendor_running

RATE = 100  # requests a second
MOST = 60  # under way at once: a machine that has fallen behind is not asked for more
START = 60.0


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with vendor_running() as found:
        yield found


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Give a file with the key in force."""
    path = tmp_path / "vendor.key"
    put(path, "key-one")
    return path


def put(path: Path, key: str) -> None:
    """Replace a file's content as a whole, as secret managers do."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(key, encoding="utf-8")
    new.chmod(0o600)
    os.replace(new, path)


def overwrite(path: Path, text: str) -> None:
    """Replace a file's content, not as a whole."""
    path.write_text(text, encoding="utf-8")


def configuration(vendor: Vendor, keys: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    provider = {"type": "openai", "base_url": vendor.url, "keys": keys, **more.pop("provider", {})}
    return {"default_model": "v/m1", "providers": {"v": provider}, **more}


def literal(*keys: str, **more: Any) -> list[dict[str, Any]]:
    return [{"secret": key, "allow_literal": True, "quota_group": key, **more} for key in keys]


class Traffic:
    """Send requests at a steady rate, as far as the machine keeps up; collect what became of them."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self.ask = ask
        self.failed: list[str] = []
        self.count = self.open = 0

    async def one(self) -> None:
        self.count += 1
        self.open += 1
        try:
            await self.ask()
        except (GatewayError, httpx2.HTTPError, AssertionError) as error:
            self.failed.append(f"{type(error).__name__}: {error}")
        finally:
            self.open -= 1

    async def during(self, steps: Callable[[], Any]) -> None:
        """Send until `steps` is through, and until it were five seconds' worth."""
        over = anyio.Event()

        async def run() -> None:
            await steps()
            over.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            last = anyio.current_time()
            while not over.is_set() or self.count < 4.5 * RATE:
                due = int((anyio.current_time() - last) * RATE)
                last += due / RATE
                for _ in range(min(due, MOST - self.open)):
                    tasks.start_soon(self.one)
                await anyio.sleep(1 / RATE)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to come about."""
    with anyio.fail_after(START):
        while not condition():
            await anyio.sleep(0.01)


def standings(keys: list[dict[str, Any]]) -> list[str]:
    return [key["standing"] for key in keys]


def story(vendor: Vendor, secret: Path, rotate: Callable[[str], Any]) -> Callable[[], Any]:
    """Replace the key three times over five seconds, each in another way, and then by a wrong one."""

    async def steps() -> None:
        begun = anyio.current_time()
        await until(lambda: vendor.seen[-1:] != [])
        vendor.good.add("key-two")  # made at the vendor, put in place, and the old one ended at once
        put(secret, "key-two")
        vendor.good.discard("key-one")
        await until(lambda: "key-two" in vendor.used()[-1:])

        vendor.good.add("key-three")  # put in place by the command, and the old one ended after a while
        await rotate("key-three")
        await until(lambda: "key-three" in vendor.used())
        await anyio.sleep(0.5)
        vendor.good.discard("key-two")
        await anyio.sleep(1.2)  # until every worker has looked

        overwrite(secret, "")  # as an editor might
        await anyio.sleep(0.05)
        vendor.good.add("key-four")
        overwrite(secret, "key-four\n")
        await until(lambda: "key-four" in vendor.used())
        vendor.good.discard("key-three")
        await anyio.sleep(1.5)  # the same

        put(secret, "key-wrong")
        await until(lambda: "key-wrong" in vendor.used(401))
        await anyio.sleep(max(0.5, 5.0 - (anyio.current_time() - begun)))

    return steps


@pytest.mark.parametrize("door", ["httpx2", "aiohttp"])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_replaced_under_load(vendor: Vendor, secret: Path, door: str, anyio_backend: str) -> None:
    """Four keys over five seconds of a hundred requests a second, old ones ended at once or later: none fails."""
    vendor.good.add("key-one")
    settings = configuration(vendor, [{"secret": f"file:{secret}"}], transport={"kind": door})

    async def rotate(key: str) -> None:
        put(secret, key)

    async with Gateway.from_config(settings) as gateway:
        traffic = Traffic(lambda: gateway.chat("v/m1", "hi"))
        await traffic.during(story(vendor, secret, rotate))
        found = gateway.vendor_keys()

    assert [] == traffic.failed
    assert traffic.count >= 4.5 * RATE
    assert ("current", "ok", "auth") == (found[0]["standing"], found[0]["state"], found[0]["trouble"])
    assert {"key-one", "key-two", "key-three", "key-four"} == set(vendor.used())


@contextmanager
def served(folder: Path, settings: dict[str, Any], *options: str, **environ: str) -> Iterator[str]:
    """Run `aigateway serve`; give the root of its URL."""
    config, log = folder / "gateway.toml", folder / f"log-{time.monotonic_ns()}"
    config.write_text(toml(settings), encoding="utf-8")
    command = [sys.executable, "-m", "aigateway", "serve", "--config", str(config), "--port", "0", *options]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "AI_GATEWAY_RATE_LIMIT_REQUESTS": "0", **environ}
    with log.open("wb") as sink, subprocess.Popen(command, cwd=folder, env=environment, stdout=sink, stderr=sink) as it:
        try:
            end = time.monotonic() + START
            while not (found := re.search(r"at (http://[^/]+)/v1", log.read_text(encoding="utf-8"))):
                assert it.poll() is None, log.read_text(encoding="utf-8")
                assert time.monotonic() < end
                time.sleep(0.02)
            yield found[1]
        finally:
            it.terminate()
            with suppress(subprocess.TimeoutExpired):
                it.wait(10)
            it.kill()


def toml(settings: dict[str, Any]) -> str:
    """Write settings down: JSON is TOML but for what stands around it."""

    def inline(value: Any) -> str:
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{name} = {inline(inner)}" for name, inner in value.items()) + " }"
        if isinstance(value, list):
            return f"[{', '.join(map(inline, value))}]"
        return json.dumps(value)

    return "".join(f"{name} = {inline(value)}\n" for name, value in settings.items())


def command(folder: Path, *words: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aigateway", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environ},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


ADMIN = "operator-key-000000000000"
OPERATOR = {"keys": [{"name": "operator", "secret": ADMIN, "allow_literal": True, "scopes": ["admin"]}]}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_replaced_under_a_server(vendor: Vendor, secret: Path, tmp_path: Path, anyio_backend: str) -> None:
    """The same through `aigateway serve` with two workers, one of the keys put in place by `aigateway keys rotate`."""
    vendor.good.add("key-one")
    settings = configuration(vendor, [{"secret": f"file:{secret}"}], callers=OPERATOR)
    rotated: list[subprocess.CompletedProcess[str]] = []

    async def rotate(key: str) -> None:
        words = ("keys", "rotate", "v", "--config", str(tmp_path / "gateway.toml"))
        rotated.append(await anyio.to_thread.run_sync(lambda: command(tmp_path, *words, stdin=key)))

    body = {"messages": [{"role": "user", "content": "hi"}]}
    limits = httpx2.Limits(max_connections=64)
    with served(tmp_path, settings, "--workers", "2") as root:
        headers = {"authorization": f"Bearer {ADMIN}", "connection": "close"}  # so that both workers are asked
        async with httpx2.AsyncClient(base_url=root, headers=headers, timeout=30, limits=limits) as client:

            async def ask() -> None:
                reply = await client.post("/v1/chat/completions", json=body)
                assert reply.status_code == 200, reply.text

            traffic = Traffic(ask)
            await traffic.during(story(vendor, secret, rotate))

    assert [] == traffic.failed
    assert traffic.count >= 4.5 * RATE
    assert 0 == rotated[0].returncode, rotated[0].stderr
    assert "key-three" not in rotated[0].stdout + rotated[0].stderr
    assert "key-four" == vendor.used()[-1]


def test_a_wrong_new_key_is_told(vendor: Vendor, secret: Path, tmp_path: Path) -> None:
    """What the vendor refuses is put aside, whoever tried it at the same time, and `keys list` says why."""
    vendor.good.add("key-one")
    settings = configuration(vendor, [{"secret": f"file:{secret}"}], callers=OPERATOR)
    body, environ = {"messages": [{"role": "user", "content": "hi"}]}, {"AI_GATEWAY_ADMIN_API_KEY": ADMIN}
    with served(tmp_path, settings) as root, httpx2.Client(base_url=root, timeout=30) as client:
        client.headers["authorization"] = f"Bearer {ADMIN}"
        assert 200 == client.post("/v1/chat/completions", json=body).status_code
        put(secret, "key-wrong")
        reload = command(tmp_path, "keys", "reload", "--url", root, **environ)
        replies = [client.post("/v1/chat/completions", json=body).status_code for _ in range(5)]
        listed = command(tmp_path, "keys", "list", "--url", root, "--json", **environ)
        shown = command(tmp_path, "keys", "list", "--url", root, **environ)

    assert "1 new key(s)" in reload.stdout
    assert [200] * 5 == replies
    assert 1 == len(vendor.used(401))
    (key,) = json.loads(listed.stdout)["keys"]
    assert ("current", "ok", "auth") == (key["standing"], key["state"], key["trouble"])
    assert "a new key was put aside (auth)" in shown.stdout


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_many_try_a_wrong_key_at_once(vendor: Vendor, secret: Path, anyio_backend: str) -> None:
    """Fifty requests hold the wrong key when it is refused: it is put aside once, and not tried again."""
    vendor.good.add("key-one")
    settings = configuration(vendor, [{"secret": f"file:{secret}"}])
    async with Gateway.from_config(settings) as gateway:
        await gateway.chat("v/m1", "hi")
        put(secret, "key-wrong")
        gateway.parts.rings["v"].look(now=True)
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(lambda: gateway.chat("v/m1", "hi"))
        tried = len(vendor.used(401))
        for _ in range(20):
            await gateway.chat("v/m1", "hi")
        (key,) = gateway.vendor_keys()

    assert tried == len(vendor.used(401)) > 1
    assert ("current", "ok", "auth") == (key["standing"], key["state"], key["trouble"])


@pytest.mark.parametrize("wrong", ["two\nlines", "nul\x00key", "clé-d'accès", "mit leerzeichen", ""])
@pytest.mark.anyio
async def test_nonsense_in_the_file(vendor: Vendor, secret: Path, wrong: str) -> None:
    """What cannot be a key costs no request, and the one before goes on."""
    vendor.good.add("key-one")
    async with Gateway.from_config(configuration(vendor, [{"secret": f"file:{secret}"}])) as gateway:
        await gateway.chat("v/m1", "hi")
        overwrite(secret, wrong)
        gateway.parts.rings["v"].look(now=True)
        for _ in range(3):
            await gateway.chat("v/m1", "hi")

    assert 4 == len(vendor.used())


@pytest.mark.anyio
async def test_put_back(vendor: Vendor, secret: Path) -> None:
    """A wrong key whose file is put back leaves no trouble behind."""
    vendor.good.add("key-one")
    async with Gateway.from_config(configuration(vendor, [{"secret": f"file:{secret}"}])) as gateway:
        ring = gateway.parts.rings["v"]
        await gateway.chat("v/m1", "hi")
        put(secret, "key-wrong")
        ring.look(now=True)
        await gateway.chat("v/m1", "hi")
        trouble = gateway.vendor_keys()[0]["trouble"]
        put(secret, "key-one")
        ring.look(now=True)
        found = gateway.vendor_keys()
        put(secret, "key-worse")
        ring.look(now=True)
        put(secret, "key-one")
        ring.look(now=True)
        await gateway.chat("v/m1", "hi")

    assert ["key-wrong"] == vendor.used(401)
    assert "auth" == trouble
    assert [("current", "")] == [(key["standing"], key["trouble"]) for key in found]


@pytest.mark.anyio
async def test_ended_before_it_was_replaced(vendor: Vendor, secret: Path) -> None:
    """The vendor ends the key first: it rests, and its successor is tried as soon as it is there, whatever rests."""
    vendor.good.add("key-one")
    clock = Clock()
    async with Gateway.from_config(configuration(vendor, [{"secret": f"file:{secret}"}]), clock=clock) as gateway:
        before = await ask(gateway)
        vendor.good = {"key-two"}
        between = await ask(gateway, times=3)
        put(secret, "key-two")
        clock.later(1.0)  # seconds between two looks
        after = await ask(gateway, times=3)

    assert (["-one"], ["failed"] * 3, ["-two"] * 3) == (before, between, after)


@pytest.mark.anyio
async def test_the_one_before_answers_when_the_new_one_dies(vendor: Vendor, secret: Path) -> None:
    """Within the grace the key before answers every request, not only the one that found out."""
    vendor.good |= {"key-one", "key-two"}
    async with Gateway.from_config(configuration(vendor, [{"secret": f"file:{secret}"}])) as gateway:
        await gateway.chat("v/m1", "hi")
        put(secret, "key-two")
        gateway.parts.rings["v"].look(now=True)
        await gateway.chat("v/m1", "hi")
        vendor.good.discard("key-two")
        for _ in range(5):
            await gateway.chat("v/m1", "hi")

    assert ["key-one", "key-two", *["key-one"] * 5] == vendor.used()
    assert ["key-two"] == vendor.used(401)


@pytest.mark.anyio
async def test_calls_in_flight_finish_under_the_old_key(vendor: Vendor, secret: Path) -> None:
    """A stream that began under the old key ends whole under it, while the new one is in force."""
    vendor.good.add("key-one")
    vendor.pace = 0.1
    async with Gateway.from_config(configuration(vendor, [{"secret": f"file:{secret}"}])) as gateway:
        async with gateway.stream("v/m1", "hi") as chunks:
            first = (await anext(chunks)).text
            vendor.good = {"key-two"}
            put(secret, "key-two")
            await gateway.chat("v/m1", "hi")
            text = first + "".join([chunk.text async for chunk in chunks])
        in_use = [key["in_use"] for key in gateway.vendor_keys()]

    assert "onetwothree" == text
    assert chunks.outcome is not None
    assert "complete" == chunks.outcome.state
    assert "key-two" == vendor.used()[-1]
    assert {0} == set(in_use)


# -- health by scope --------------------------------------------------------------------------


async def ask(gateway: Gateway, model: str = "m1", times: int = 1) -> list[str]:
    """Ask several times; give what each was answered with, the end of the key it was asked under."""
    found = []
    for _ in range(times):
        try:
            found.append((await gateway.chat(f"v/{model}", "hi")).text)
        except GatewayError:
            found.append("failed")
    return found


@pytest.mark.anyio
async def test_a_401_rests_one_key(vendor: Vendor) -> None:
    """The key that was refused is left alone; its neighbour in the same account goes on."""
    vendor.good = {"key-bbbb"}
    keys = [{**key, "quota_group": "one"} for key in literal("key-aaaa", "key-bbbb")]
    async with Gateway.from_config(configuration(vendor, keys)) as gateway:
        assert ["bbbb"] * 6 == await ask(gateway, times=6)
        listed = {key["id"]: key["state"] for key in gateway.vendor_keys()}

    assert ["key-aaaa"] == vendor.used(401)
    assert ["disabled", "ok"] == list(listed.values())


@pytest.mark.anyio
async def test_no_money_rests_the_account(vendor: Vendor) -> None:
    """Keys of an account without money rest together, for every model; another account goes on."""
    vendor.good, vendor.says = {"key-cccc"}, {"key-aaaa": 402, "key-bbbb": 402}
    keys = [{**key, "quota_group": "one"} for key in literal("key-aaaa", "key-bbbb")] + literal("key-cccc")
    async with Gateway.from_config(configuration(vendor, keys)) as gateway:
        assert ["cccc"] * 4 == await ask(gateway, times=4)
        assert ["cccc"] * 2 == await ask(gateway, "m2", 2)
        states = [key["state"] for key in gateway.vendor_keys()]

    assert 1 == len(vendor.used(402))
    assert ["suspended", "suspended", "ok"] == states


@pytest.mark.anyio
async def test_a_429_rests_the_account_for_a_model(vendor: Vendor) -> None:
    """An account that is limited for one model answers for another; keys of the account share the limit."""
    vendor.good = {"key-aaaa", "key-bbbb", "key-cccc"}
    vendor.says = {("key-aaaa", "m1"): 429, ("key-bbbb", "m1"): 429}
    keys = [{**key, "quota_group": "one"} for key in literal("key-aaaa", "key-bbbb")] + literal("key-cccc")
    async with Gateway.from_config(configuration(vendor, keys)) as gateway:
        assert ["cccc"] == await ask(gateway)
        limited = len(vendor.used(429))
        assert {"aaaa", "bbbb", "cccc"} == set(await ask(gateway, "m2", 6))

    assert 1 == limited == len(vendor.used(429))


@pytest.mark.anyio
async def test_back_after_a_rest(vendor: Vendor) -> None:
    """A rest that is over is followed by one call on probation, whatever came meanwhile; then it is as before."""
    vendor.good = {"key-bbbb"}
    async with Gateway.from_config(
        configuration(vendor, literal("key-aaaa", "key-bbbb")), clock=(clock := Clock())
    ) as g:
        await ask(g, times=2)
        vendor.good.add("key-aaaa")
        vendor.takes = 0.2
        clock.later(400.0)
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(ask, g)
        probed = vendor.used().count("key-aaaa")
        vendor.takes = 0.0
        assert {"aaaa", "bbbb"} == set(await ask(g, times=4))

    assert 1 == probed


class Clock:
    """The system's clock, put forward by a test."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def later(self, seconds: float) -> None:
        self.ahead += seconds

    def now(self) -> float:
        return time.monotonic() + self.ahead

    def wall(self) -> float:
        return time.time() + self.ahead

    async def sleep(self, seconds: float, /) -> None:
        await anyio.sleep(seconds)


@pytest.mark.anyio
async def test_concurrency_under_load(vendor: Vendor) -> None:
    """Caps of two and three hold under forty calls at once; five are answered at a time and none is lost below."""
    vendor.good, vendor.takes = {"key-aaaa", "key-bbbb"}, 0.05
    keys = [*literal("key-aaaa", concurrency=2), *literal("key-bbbb", concurrency=3)]
    async with Gateway.from_config(configuration(vendor, keys)) as gateway:
        found: list[str] = []

        async def one() -> None:
            found.extend(await ask(gateway))

        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(one)
        afterwards = await ask(gateway, times=2)

    assert {"key-aaaa": 2, "key-bbbb": 3} == dict(vendor.most)
    assert 5 == sum(text != "failed" for text in found)
    assert {"aaaa", "bbbb"} == set(afterwards)


@pytest.mark.anyio
async def test_models_and_expiry(vendor: Vendor) -> None:
    """A key is used for its models, until its end; no request goes out under another, however often it is asked."""
    vendor.good = {"key-aaaa", "key-bbbb"}
    keys = [*literal("key-aaaa", models=["m1", "x*"]), *literal("key-bbbb", expires="2030-01-01")]
    clock = Clock()
    async with Gateway.from_config(configuration(vendor, keys), clock=clock) as gateway:
        assert {"aaaa", "bbbb"} == set(await ask(gateway, "m1", 4))
        assert {"bbbb"} == set(await ask(gateway, "m2", 4))
        clock.later(10 * 365.25 * 86_400)
        assert {"aaaa"} == set(await ask(gateway, "xyz", 4))
        states = [key["state"] for key in gateway.vendor_keys()]
        for _ in range(4):
            with pytest.raises(NoAnswer, match="v/m2: permission") as caught:
                await gateway.chat("v/m2", "hi")
            assert 503 == caught.value.status
            assert int(caught.value.headers["retry-after"]) <= 3601
            clock.later(30.0)  # when what rests would be asked all the same, because there is no other
            gateway.memory.rests.put(("key", "x", "y"), "disabled", "auth", clock.now())

    assert ["ok", "expired"] == states
    assert {("key-aaaa", "m1"), ("key-bbbb", "m1"), ("key-bbbb", "m2"), ("key-aaaa", "xyz")} == {
        (seen.key, seen.model) for seen in vendor.seen
    }


# -- facts in a file --------------------------------------------------------------------------


@pytest.mark.anyio
async def test_rests_survive_a_restart(vendor: Vendor, tmp_path: Path) -> None:
    """A key that was refused rests on in the next process, and `keys list` knows it without asking anybody."""
    vendor.good = {"key-bbbb"}
    url = f"file:{tmp_path / 'state.json'}"
    settings = configuration(vendor, literal("key-aaaa", "key-bbbb"), state={"url": url})
    for _ in range(2):
        async with Gateway.from_config(settings) as gateway:
            assert ["bbbb"] * 4 == await ask(gateway, times=4)
            states = [key["state"] for key in gateway.vendor_keys()]
    (tmp_path / "gateway.toml").write_text(toml(settings), encoding="utf-8")
    listed = command(tmp_path, "keys", "list", "--json", "--config", "gateway.toml")

    assert ["key-aaaa"] == vendor.used(401)
    assert ["disabled", "ok"] == states == [key["state"] for key in json.loads(listed.stdout)["keys"]]
    assert "key-aaaa" not in (tmp_path / "state.json").read_text(encoding="utf-8")


@pytest.mark.anyio
async def test_a_second_process_learns(vendor: Vendor, tmp_path: Path) -> None:
    """What a server found out, another gateway on the same file knows a moment later, without asking."""
    vendor.good = {"key-aaaa", "key-bbbb"}
    settings = configuration(
        vendor, literal("key-aaaa", "key-bbbb"), state={"url": f"file:{tmp_path / 'state.json'}"}, callers=OPERATOR
    )
    body = {"messages": [{"role": "user", "content": "hi"}]}
    with served(tmp_path, settings) as root, httpx2.Client(base_url=root, timeout=30) as client:
        client.headers["authorization"] = f"Bearer {ADMIN}"
        assert 200 == client.post("/v1/chat/completions", json=body).status_code
        async with Gateway.from_config(settings) as gateway:
            await ask(gateway)
            vendor.good = {"key-bbbb"}
            while not vendor.used(401):
                await anyio.to_thread.run_sync(lambda: client.post("/v1/chat/completions", json=body))
            noticed = time.monotonic()
            await until(lambda: "disabled" in {key["state"] for key in gateway.vendor_keys()})
            took = time.monotonic() - noticed
            assert ["bbbb"] * 4 == await ask(gateway, times=4)

    assert 1 == len(vendor.used(401))
    assert took < 5.0  # 0.5 s and a write, on a machine with nothing else to do


@pytest.mark.parametrize("broken", ["garbage", "unwritable", "directory", "fifo-like", "world"])
@pytest.mark.anyio
async def test_a_broken_state_file_fails_no_request(
    vendor: Vendor, tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Facts stay in this process, one line says why, and everything is answered."""
    path = tmp_path / "state.json"
    match broken:
        case "garbage":
            path.write_text('{"rests": [{"name": ["key"', encoding="utf-8")
        case "unwritable":
            path = Path("/proc/nowhere/state.json")
        case "directory":
            path.mkdir()
        case "fifo-like":
            path.write_text(json.dumps({"rests": [{"name": 1, "state": [], "until": "x"}, 7, None]}), encoding="utf-8")
        case _:
            path.write_text("{}", encoding="utf-8")
            path.chmod(0o666)
    vendor.good = {"key-bbbb"}
    settings = configuration(vendor, literal("key-aaaa", "key-bbbb"), state={"url": f"file:{path}"})
    async with Gateway.from_config(settings) as gateway:
        assert ["bbbb"] * 4 == await ask(gateway, times=4)
        await anyio.sleep(1.2)  # two more looks
        assert ["bbbb"] * 2 == await ask(gateway, times=2)

    lines = [record for record in caplog.records if record.name == "aigateway.state"]
    assert ["key-aaaa"] == vendor.used(401)
    assert (0 if broken == "fifo-like" else 1) == len(lines)
