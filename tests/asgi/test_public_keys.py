"""Public keys of tokens that lie at a URL: fetched when they are wanted, never too often, and not kept too long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from aigateway import Gateway
from aigateway.asgi._who import RemoteTokens, Who
from aigateway.callers import Claims, Grant
from aigateway.errors import ConfigurationError, Kind, Refusal, WireError

KEYS = {kid: ed25519.Ed25519PrivateKey.generate() for kid in ("first", "second")}
URL = "https://tokens.example/keys"
FAR = 4_000_000_000.0


class Clock:
    """A clock a test moves."""

    at = 1000.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at

    async def sleep(self, seconds: float, /) -> None:
        await anyio.lowlevel.checkpoint()


class Place:
    """A URL that gives public keys, or nothing; it counts who asked."""

    def __init__(self, *kids: str) -> None:
        self.kids: Sequence[str] = kids
        self.asked = 0
        self.fault: Exception | None = None
        self.text: bytes | None = None
        self.open = anyio.Event()
        self.open.set()

    async def fetch(self, url: str) -> bytes:
        self.asked += 1
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        keys = [jwk(kid) for kid in self.kids]
        return json.dumps({"keys": keys}).encode() if self.text is None else self.text


class World:
    """Tokens against keys at a URL, on a clock a test moves."""

    def __init__(self, *kids: str) -> None:
        self.place, self.clock = Place(*kids), Clock()
        self.tokens = RemoteTokens(Claims(("EdDSA",)), URL, self.clock, self.place.fetch)

    async def lets_in(self, kid: str, seconds: float = 0.0) -> bool:
        """Tell whether a token is let in after so many seconds."""
        self.clock.at += seconds
        return await self.tokens.find(token(kid), self.clock.at) is not None


def jwk(kid: str) -> dict[str, Any]:
    return {**jwt.algorithms.OKPAlgorithm.to_jwk(KEYS[kid].public_key(), as_dict=True), "kid": kid}


def token(kid: str) -> str:
    return jwt.encode({"sub": "ada", "exp": FAR}, KEYS[kid], "EdDSA", headers={"kid": kid})


@pytest.mark.anyio
async def test_one_fetch_for_all() -> None:
    """Whoever comes while the first keys are fetched waits for them; then nobody asks again."""
    world, found = World("first"), list[Grant | None]()
    world.place.open = anyio.Event()

    async def come() -> None:
        found.append(await world.tokens.find(token("first"), world.clock.at))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(come)
        await anyio.wait_all_tasks_blocked()
        world.place.open.set()

    assert ["ada"] * 20 == [grant.caller.name for grant in found if grant is not None]
    assert await world.lets_in("first", 599)
    assert 1 == world.place.asked


@pytest.mark.anyio
async def test_a_new_key_is_looked_for() -> None:
    """A token may be signed with a key that came since; made-up ones make us ask every 10 s at most."""
    world = World("first")
    assert await world.lets_in("first")
    world.place.kids = ("first", "second")

    assert [False, False, True] == [await world.lets_in("second", seconds) for seconds in (0, 9.9, 0.1)]
    assert 2 == world.place.asked


@pytest.mark.anyio
async def test_a_withdrawn_key_ends() -> None:
    """Within ten minutes, though every token that comes names a key that is known."""
    world = World("first", "second")
    assert await world.lets_in("first")
    world.place.kids = ("second",)

    assert [True, False] == [await world.lets_in("first", seconds) for seconds in (599, 1)]


@pytest.mark.anyio
async def test_known_keys_wait_for_nobody() -> None:
    """While keys are fetched again, tokens are checked by those that are there."""
    world = World("first")
    assert await world.lets_in("first")
    world.clock.at += 600
    world.place.open = anyio.Event()

    async with anyio.create_task_group() as group:
        group.start_soon(world.lets_in, "first")
        await anyio.wait_all_tasks_blocked()
        meanwhile = await world.lets_in("first")
        world.place.open.set()

    assert meanwhile
    assert 2 == world.place.asked


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "text"),
    [(WireError(Kind.CONNECT, "refused"), None), (None, b"<html>"), (None, b'{"keys": 7}')],
    ids=["unreachable", "no JSON", "no keys"],
)
async def test_a_place_that_gives_none(fault: Exception | None, text: bytes | None) -> None:
    """That is not the caller's fault: 503, not 401, tried again after a second; what is known stays known."""
    world = World("first")
    world.place.fault, world.place.text = fault, text
    for seconds in (0, 0.9):
        with pytest.raises(Refusal) as caught:
            await world.lets_in("first", seconds)
        assert (503, "unavailable") == (caught.value.status, caught.value.code)
    assert 1 == world.place.asked
    world.place.fault = world.place.text = None
    assert await world.lets_in("first", 0.1)
    world.place.fault, world.place.text = fault, text

    assert await world.lets_in("first", 600)
    assert 3 == world.place.asked


# -- settings that are wrong ------------------------------------------------------------------

SECRET = {"secret": "signing-value-0123456789-abcdefghijkl", "allow_literal": True}
AT_HOME = {"audience": "us", "algorithms": ["EdDSA"]}


def who(tmp_path: Path, **callers: Any) -> Who:
    """Make what tells callers apart of the tables of a file."""
    table = "\n".join(
        f"[callers.{name}]\n" + "\n".join(f"{field} = {json.dumps(value)}" for field, value in fields.items())
        for name, fields in callers.items()
    )
    (tmp_path / "aigateway.toml").write_text("[providers.a]\ntype = 'echo'\n" + table)
    return Who(Gateway.from_config(tmp_path / "aigateway.toml"))


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"jwt": {**SECRET, "jwks": URL}}, "a secret or a jwks, not both"),
        ({"jwt": {"jwks": URL, "algorithms": ["EdDSA"]}}, "needs an audience"),
        ({"jwt": {**AT_HOME, "jwks": "http://tokens.example/keys"}}, "must be"),
        ({"jwt": {**AT_HOME, "jwks": "file:absent.json"}}, "cannot be read: No such file"),
        ({"jwt": {**AT_HOME, "jwks": "file:aigateway.toml"}}, "no list of keys"),
        ({"jwt": {"secret": "short", "allow_literal": True}}, "shorter than 32 bytes"),
        ({"weekly": {"root": "short", "allow_literal": True}}, "shorter than 32 bytes"),
        (
            {"weekly": {"root": SECRET["secret"], "allow_literal": True, "clients": ["a"], "deny": ["a"]}},
            "leaves no client",
        ),
    ],
)
def test_what_would_let_nobody_in_or_anybody(tables: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Stops the start, naming the line: keys over plain HTTP could be anybody's, as could tokens for others."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        who(tmp_path, **tables)

    assert "aigateway.toml, line " in caught.value.message
    assert "signing-value" not in caught.value.message


def test_public_keys_beside_the_configuration(tmp_path: Path) -> None:
    """A relative path begins where the configuration is, not where the program was started."""
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [jwk("first")]}))
    tokens = who(tmp_path, jwt={**AT_HOME, "jwks": "file:keys.json"}).tokens

    assert tokens is not None
    assert [True, False] == [tokens.knows(token(kid)) for kid in ("first", "second")]
