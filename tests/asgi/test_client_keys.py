"""Who may come in: with client keys, those who have one; without, this machine alone."""

from __future__ import annotations

import json
import logging
import socket
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import anyio.lowlevel
import httpx2
import jwt
import pytest

from aigateway import Gateway
from aigateway.asgi import create_app
from aigateway.callers import FileStore, Grant, Peppers, WeeklyKeys, new_key
from aigateway.errors import Kind, ProviderError
from aigateway.plugins import CallersRecord, Registry, hookimpl
from aigateway.secrets import Secret

Serve = Callable[..., AbstractContextManager[httpx2.Client]]

CHAT = {"messages": [{"role": "user", "content": "hi"}]}
EDITOR, OPERATOR = "canary-editor-1234567890", "canary-operator-1234567890"
KEYS = {
    "keys": [
        {"name": "editor", "secret": EDITOR, "allow_literal": True},
        {"name": "operator", "secret": OPERATOR, "allow_literal": True, "scopes": ["admin"]},
    ]
}


def chat(client: httpx2.Client, *headers: tuple[str, str]) -> httpx2.Response:
    return client.post("/v1/chat/completions", json=CHAT, headers=list(headers))


@pytest.mark.parametrize(
    "header",
    [
        ("Authorization", f"Bearer {EDITOR}"),
        ("authorization", f"bearer {EDITOR}"),
        ("X-API-Key", EDITOR),
        ("api-key", EDITOR),
        ("Authorization", f"Bearer {OPERATOR}"),
    ],
    ids=["Bearer", "bearer", "X-API-Key", "api-key", "operator"],
)
def test_known_keys(serve: Serve, header: tuple[str, str]) -> None:
    """A known key is let in, in each of the headers clients use."""
    with serve(callers=KEYS) as client:
        reply = chat(client, header)

    assert 200 == reply.status_code
    assert "hi" == reply.json()["choices"][0]["message"]["content"]


def test_no_key_and_a_wrong_one(serve: Serve) -> None:
    """No key and a wrong one get the same 401, so that nobody learns which it was."""
    wrong = [
        (),
        (("Authorization", "Bearer canary-wrong"),),
        (("Authorization", f"Bearer {EDITOR}x"),),
        (("Authorization", f"Bearer {EDITOR[:-1]}"),),
        (("Authorization", f"Basic {EDITOR}"),),
        (("Authorization", EDITOR),),
        (("Authorization", "Bearer"),),
        (("Authorization", f"Bearer {'x' * 5000}"),),
        (("X-API-Key", EDITOR.upper()),),
        (("X-API-Key", ""),),
    ]
    with serve(callers=KEYS) as client:
        replies = [chat(client, *headers) for headers in wrong]
        bodies = [reply.json()["error"] for reply in replies]
    for body in bodies:
        del body["request_id"]

    assert [401] * len(wrong) == [reply.status_code for reply in replies]
    assert [bodies[0]] * len(wrong) == bodies
    assert "invalid_api_key" == bodies[0]["code"]
    assert all("canary" not in reply.text for reply in replies)


def test_different_keys(serve: Serve) -> None:
    """Two keys that differ, or one header twice, are none; the same key twice is one."""
    with serve(callers=KEYS) as client:
        differ = chat(client, ("Authorization", f"Bearer {EDITOR}"), ("X-API-Key", OPERATOR))
        twice = chat(client, ("X-API-Key", EDITOR), ("X-API-Key", OPERATOR))
        same = chat(client, ("Authorization", f"Bearer {EDITOR}"), ("X-API-Key", EDITOR))

    assert [401, 401, 200] == [differ.status_code, twice.status_code, same.status_code]
    assert "several API keys" in differ.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/models", 401), ("GET", "/models/echo", 401), ("GET", "/health", 200), ("PUT", "/v1/models", 401)],
)
def test_what_needs_a_key(serve: Serve, method: str, path: str, status: int) -> None:
    """Health is public; the rest needs a key, before anything else is said about it."""
    with serve(callers=KEYS) as client:
        assert status == client.request(method, path).status_code


def test_names_without_keys_in_the_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """The access line names the caller and a masked key, also for those who were refused."""
    with caplog.at_level(logging.INFO, logger="aigateway.access"), serve(callers=KEYS) as client:
        chat(client, ("Authorization", f"Bearer {EDITOR}"))
        chat(client, ("Authorization", "Bearer canary-wrong"))
        client.get("/v1/models?api_key=canary-query")
    first, second, third = (record.getMessage() for record in caplog.records)

    assert '"caller":"editor","key":"key-' in first
    assert '"status":200' in first
    assert '"caller":"anyone"' in second
    assert '"status":401' in second
    assert '"status":401' in third
    assert "canary" not in caplog.text


# -- without client keys ----------------------------------------------------------------------


def test_this_machine_is_served(http: httpx2.Client) -> None:
    """Without client keys any key, or none, will do from this machine."""
    replies = [chat(http), chat(http, ("Authorization", "Bearer any")), chat(http, ("Origin", "http://localhost:3000"))]

    assert [200, 200, 200] == [reply.status_code for reply in replies]


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://localhost.evil.example"),
        ("Origin", "http://127.0.0.1.evil.example"),
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("Forwarded", "for=203.0.113.7"),
        ("X-Real-IP", "203.0.113.7"),
    ],
    ids=lambda header: ": ".join(header),
)
def test_strangers_are_not(http: httpx2.Client, header: tuple[str, str]) -> None:
    """Another site's page, and what came through a proxy, are refused with what to configure."""
    reply = chat(http, header)
    error: dict[str, Any] = reply.json()["error"]

    assert 403 == reply.status_code
    assert "permission_error" == error["type"]
    assert "no client keys" in error["message"]


def test_a_name_that_points_here(http: httpx2.Client) -> None:
    """A page whose own name was pointed at this machine is another site's page: its Origin says so."""
    reply = chat(http, ("Host", "evil.example"), ("Origin", "http://evil.example"))

    assert 403 == reply.status_code


# -- every sort of key ------------------------------------------------------------------------

ROOT = "root-secret-of-the-weekly-keys-0123456789"
PEPPER = "pepper-root-of-the-stored-keys-0123456789"
TOKENS = "token-secret-for-hs256-tests-0123456789-abcdef"
START = datetime(2026, 12, 30, 12, tzinfo=UTC)  # Wednesday of the ISO week 2026-W53
MODELS = {"a": {"type": "echo"}, "b": {"type": "echo"}}


class Clock:
    """A clock a test moves."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at.timestamp()

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at

    async def sleep(self, seconds: float, /) -> None:
        await anyio.lowlevel.checkpoint()


class Answer(NamedTuple):
    """What the application sent."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> dict[str, Any]:
        """Give the error without what differs from request to request."""
        return {name: value for name, value in self.body["error"].items() if name != "request_id"}


class World:
    """An application in this process, with a clock a test moves and addresses it invents."""

    def __init__(self, callers: dict[str, Any], registry: Registry | None = None, **tables: Any) -> None:
        self.clock = Clock()
        providers = {"providers": MODELS, "default_model": "r", "routes": {"r": {"targets": ["a/echo", "b/echo"]}}}
        self.gateway = Gateway.from_config(
            {**providers, "callers": callers, **tables}, clock=self.clock, registry=registry
        )
        self.app = create_app(self.gateway)

    def ask(
        self,
        *headers: tuple[str, str | bytes],
        path: str = "/v1/chat/completions",
        method: str = "POST",
        body: dict[str, Any] | bytes | None = None,
        query: str = "",
        address: str = "198.51.100.7",
    ) -> Answer:
        """Send one request as a server would hand it over."""
        sent: list[Any] = []
        raw = [(n.lower().encode(), v if isinstance(v, bytes) else v.encode("latin-1")) for n, v in headers]
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path, "query_string": query.encode(),
            "headers": raw, "client": (address, 1234), "root_path": "", "scheme": "http",
        }  # fmt: skip  # one request

        async def receive() -> Any:
            sent = body if isinstance(body, bytes) else json.dumps(CHAT | (body or {})).encode()
            return {"type": "http.request", "body": sent, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        anyio.run(self.app, scope, receive, send)
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], head, b"".join(part.get("body", b"") for part in sent[1:]).decode())

    def with_key(self, key: str, **more: Any) -> Answer:
        return self.ask(("authorization", f"Bearer {key}"), **more)


def static(name: str = "one", secret: str = "static-key-0123456789", **more: Any) -> dict[str, Any]:
    return {"name": name, "secret": secret, "allow_literal": True, **more}


def root(secret: str) -> dict[str, Any]:
    return {"root": secret, "allow_literal": True}


def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], FileStore]:
    """Give settings of a store of client keys, and a hand on its file."""
    monkeypatch.setenv("PEPPER", PEPPER)
    path = folder / "callers.json"
    return {"store": f"file:{path}", "roots": ["env:PEPPER"]}, FileStore(path, Peppers([Secret(PEPPER)]))


def token(key: str = TOKENS, **claims: Any) -> str:
    return jwt.encode({"sub": "somebody", "exp": START.timestamp() + 60, **claims}, key, algorithm="HS256")


def unsigned(exp: float) -> str:
    """Write a token that says of itself that it needs no signature."""
    parts = ({"alg": "none", "typ": "JWT"}, {"sub": "somebody", "exp": exp})
    return ".".join([*(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), ""])


def test_every_sort_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Static, stored, weekly keys and tokens beside each other, in each of the headers."""
    table, kept = store(tmp_path, monkeypatch)
    table |= {"keys": [static()], "weekly": root(ROOT), "jwt": {"secret": TOKENS, "allow_literal": True}}
    world = World(table)
    weekly = WeeklyKeys(Secret(ROOT)).key("weekly", world.clock.at).reveal()
    keys = ["static-key-0123456789", kept.new("editor", at=world.clock.at).reveal(), weekly, token()]
    answers = [
        world.ask((header, f"{scheme}{key}")).status
        for key in keys
        for header, scheme in (("Authorization", "Bearer "), ("X-API-Key", ""), ("api-key", ""))
    ]

    assert [200] * 12 == answers


def test_one_401_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with a key, the answer is the same to the last byte but for the request's id."""
    table, kept = store(tmp_path, monkeypatch)
    now = START.timestamp()
    live = kept.new("live", at=now - 10).reveal()
    over = kept.new("over", at=now - 10, ends=now - 1).reveal()
    revoked = kept.new("revoked", at=now - 10).reveal()
    kept.revoke("revoked", at=now - 5)
    table |= {
        "keys": [
            static(),
            static("over", "over-key-0123456789", expires="2026-12-30T11:59:59Z"),
            static("early", "early-key-0123456789", starts="2026-12-30T12:00:01Z"),
        ],
        "weekly": {**root(ROOT), "deny": ["denied"], "clients": ["weekly", "denied"]},
        "jwt": {"secret": TOKENS, "allow_literal": True},
    }
    world, weekly = World(table), WeeklyKeys(Secret(ROOT), ["weekly", "denied"])
    wrong = [
        "", " ", "x", "static", "static-key-012345678", "static-key-01234567890", "STATIC-KEY-0123456789",
        "static-key-0123456789\x00", "\x00", "' OR 1=1 --", "a" * 8192, "a" * 8193, "gw_live_" * 2000, "a" * 2**20,
        over, revoked, f"{live[:-1]}{'0' if live[-1] != '0' else '1'}", live[:-7], live.replace("live", "test"),
        "over-key-0123456789", "early-key-0123456789", "ключ".encode().decode("latin-1"),
        weekly.key("weekly", now - 7 * 86_400).reveal(), weekly.key("weekly", now + 7 * 86_400).reveal(),
        weekly.key("denied", now).reveal(), ROOT, PEPPER, TOKENS,
        token(exp=now - 1), token(nbf=now + 1), token("another-secret-for-hs256-tests-0123456789"),
        token()[:-2], unsigned(now + 9), "eyJ.eyJ.", "ey" + "J." * 4000,
    ]  # fmt: skip  # a table
    answers = [world.with_key(key) for key in wrong]
    answers += [world.ask(("x-api-key", key)) for key in wrong]
    answers += [world.ask(), world.ask(("authorization", "Basic abc")), world.ask(("authorization", "Bearer"))]

    assert {401} == {answer.status for answer in answers}
    assert 1 == len({json.dumps(answer.error) for answer in answers})
    assert 1 == len({len(answer.text) for answer in answers})  # ids are as long as each other
    assert 1 == len({tuple(sorted(answer.headers.keys())) for answer in answers})
    assert 200 == world.with_key(live).status


def test_a_megabyte_of_key(serve: Serve) -> None:
    """It is refused, by the server (400, 431) where it bounds the head, else by us; and serving goes on."""
    with serve(callers=KEYS) as client:
        for size, expected in ((30_000, {401}), (2**20, {400, 401, 431})):
            try:
                status = chat(client, ("X-API-Key", "x" * size)).status_code
            except httpx2.HTTPError:  # it hung up while we were still sending
                status = 431
            assert status in expected
        assert 200 == chat(client, ("X-API-Key", EDITOR)).status_code


@pytest.mark.parametrize("raw", [b"X-API-Key: a\x00b", b"Authorization: Bearer " + EDITOR.encode() + b"\x00"])
def test_nul_on_the_wire(serve: Serve, raw: bytes) -> None:
    """A NUL in a header is refused by the server; no key is cut short at it."""
    with (
        serve(callers=KEYS) as client,
        socket.create_connection((client.base_url.host, client.base_url.port or 0)) as s,
    ):
        s.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n" + raw + b"\r\nConnection: close\r\n\r\n")
        answer = s.makefile("rb").read()

    assert answer.split(b" ")[1] in {b"400", b"401"}


def test_keys_in_the_url() -> None:
    """A key in the query is not taken, good or not, and the answer says why; a good header beside it counts."""
    world = World({"keys": [static()]})
    names = ["api_key", "key", "token", "access_token", "api-key", "apikey", "API_KEY"]
    answers = [world.ask(query=f"a=1&{name}=static-key-0123456789") for name in names]

    assert {401} == {answer.status for answer in answers}
    assert all("URL" in answer.body["error"]["message"] for answer in answers)
    assert 200 == world.ask(("x-api-key", "static-key-0123456789"), query="api_key=x").status


def test_two_keys() -> None:
    """Two keys are none, even if one is good; the same key in two headers is one."""
    world, good = World({"keys": [static(), static("two", "other-key-0123456789")]}), "static-key-0123456789"
    pairs = [
        (("authorization", f"Bearer {good}"), ("authorization", f"Bearer {good}")),
        (("authorization", f"Bearer {good}"), ("authorization", "Bearer x")),
        (("authorization", f"Bearer {good}"), ("x-api-key", "other-key-0123456789")),
        (("authorization", "Basic x"), ("x-api-key", good)),
        (("x-api-key", good), ("api-key", "x")),
    ]
    answers = [world.ask(*pair) for pair in pairs]

    assert {401} == {answer.status for answer in answers}
    assert 1 == len({json.dumps(answer.error) for answer in answers})
    assert 200 == world.ask(("authorization", f"Bearer {good}"), ("x-api-key", good), ("api-key", good)).status


def test_shared_beginnings() -> None:
    """Keys that agree in all but the last character are different callers."""
    stem = "k" * 40
    world = World({"keys": [static(end, stem + end, models=[f"{end}/*"]) for end in "ab"]})
    got = {end: [world.with_key(stem + end, body={"model": f"{m}/echo"}).status for m in "ab"] for end in "ab"}

    assert {"a": [200, 403], "b": [403, 200]} == got
    assert {401} == {world.with_key(key).status for key in (stem, stem + "c", stem + "ab", stem[1:] + "a")}


def test_expiry_to_the_second() -> None:
    """A key is valid from its first second, and not in the one it ends."""
    table = static(starts="2026-12-30T12:00:10Z", expires="2026-12-30T12:00:20Z")
    world, found = World({"keys": [table]}), []
    for second in (9.999, 10.0, 19.999, 20.0):
        world.clock.at = START.timestamp() + second
        found.append(world.with_key("static-key-0123456789").status)

    assert [401, 200, 200, 401] == found


class Counting:
    """A store that counts how often it is asked, and is down if it is told to be."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down = False
        self.grants: dict[str, Grant] = {}

    async def find(self, digest: str) -> Grant | None:
        self.asked.append(digest)
        if self.down:
            raise OSError("postgres://user:canary-password@db is down")
        return self.grants.get(digest)

    async def moved(self, old: str, new: str) -> None:
        raise AssertionError("there is one root")


class Offers:
    """A plug-in that offers a store."""

    def __init__(self, kept: Counting) -> None:
        self.kept = kept

    @hookimpl
    def aigateway_callers(self) -> Iterator[CallersRecord]:
        yield CallersRecord("counting", lambda rest: self.kept)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> tuple[Counting, World]:
    """Serve with a store that counts; give both."""
    monkeypatch.setenv("PEPPER", PEPPER)
    kept, registry = Counting(), Registry()
    registry.register(Offers(kept), "callers.counting")
    table = {"store": "counting:x", "roots": ["env:PEPPER"], "keys": [static()]}
    return kept, World(table, registry=registry)


def test_no_look_up_for_a_bad_checksum(counting: tuple[Counting, World]) -> None:
    """What is not spelled like a key costs no look-up; what is costs one."""
    kept, world = counting
    good = new_key().reveal()
    for key in (good[:-1] + ("a" if good[-1] != "a" else "b"), good[:-1], good + "0", "gw_live_x", "sk-x", "'; DROP"):
        assert 401 == world.with_key(key).status
    assert [] == kept.asked
    assert 401 == world.with_key(good).status
    assert 1 == len(kept.asked)
    assert good not in kept.asked[0]


def test_a_store_that_is_down(counting: tuple[Counting, World], caplog: pytest.LogCaptureFixture) -> None:
    """It is 503 and never 401 for keys it would know, without its words; the other keys work on."""
    kept, world = counting
    kept.down = True
    answer = world.with_key(new_key().reveal())

    assert 503 == answer.status
    assert "canary" not in answer.text + caplog.text
    assert 200 == world.with_key("static-key-0123456789").status
    assert 401 == world.with_key("unknown").status


def until_not(status: int, ask: Callable[[], Answer]) -> Answer:
    """Ask until the answer is another: the file is looked at once a second."""
    end = time.monotonic() + 20
    while (answer := ask()).status == status and time.monotonic() < end:
        time.sleep(0.02)
    return answer


def test_a_file_that_broke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken file lets nobody in who stands in it, and says nothing of where it is."""
    table, kept = store(tmp_path, monkeypatch)
    key = kept.new("editor", at=START.timestamp()).reveal()
    world = World({**table, "keys": [static()]})
    before = world.with_key(key).status
    (tmp_path / "callers.json").write_text("{", encoding="utf-8")
    broken = until_not(200, lambda: world.with_key(key))
    (tmp_path / "callers.json").unlink()
    gone = until_not(503, lambda: world.with_key(key))

    assert [200, 503, 401] == [before, broken.status, gone.status]
    assert str(tmp_path) not in broken.text
    assert 200 == world.with_key("static-key-0123456789").status


def test_revoked_and_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rotated key lives as long as its grace to the second, a revoked one no longer."""
    table, kept = store(tmp_path, monkeypatch)
    first = kept.new("editor", at=START.timestamp()).reveal()
    world = World(table)
    second = kept.rotate("editor", at=START.timestamp(), grace=60).reveal()
    found = {}
    for ahead in (0.0, 59.999, 60.0):
        world.clock.at = START.timestamp() + ahead
        found[ahead] = [world.with_key(key).status for key in (second, first)]
    kept.revoke("editor", at=world.clock.at)

    assert {0.0: [200, 200], 59.999: [200, 200], 60.0: [200, 401]} == found
    assert 401 == until_not(200, lambda: world.with_key(second)).status


# -- known, and not allowed -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "asked", "statuses"),
    [
        (["a/*"], {"model": "a/echo"}, {200}),
        (["a/echo"], {"model": "b/echo"}, {403}),
        (["a/echo"], {"model": "r"}, {200}),
        (["r"], {"model": "r"}, {200}),
        (["r"], {}, {200}),
        (["r"], {"model": "a/echo"}, {403}),
        (["nothing"], {}, {403}),
        (["nothing"], {"model": "r", "routing": {"models": ["a/echo", "b/echo"]}}, {403}),
        (["r*"], {"model": "rrr"}, {404}),
        (["*"], {"model": "b/echo"}, {200}),
    ],
)
def test_models(models: list[str], asked: dict[str, Any], statuses: set[int]) -> None:
    """What a key may ask for: names and targets, with a `*` at the end at most."""
    world = World({"keys": [static(models=models)]})

    assert world.with_key("static-key-0123456789", body=asked).status in statuses


def test_models_that_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a route, nor `routing.models`, nor the fallback leads to a target that is not on the list."""
    table = {"keys": [static(models=["a/*"])]}
    ways = [{"model": "r"}, {"model": "a/echo", "routing": {"models": ["b/echo"]}}]
    for asked in ways:
        world = World(table, fallback="r")
        monkeypatch.setattr(world.gateway.parts.providers["a"], "answer", _fails)
        answer = world.with_key("static-key-0123456789", body=asked)
        assert 503 == answer.status
        assert "b/echo" not in answer.text
    only_b = World({"keys": [static(models=["b/*"])]}, fallback="r")
    answer = only_b.with_key("static-key-0123456789", body={"model": "r"})
    assert ["b", "1"] == [answer.headers["x-aigateway-provider"], answer.headers["x-aigateway-attempts"]]


async def _fails(request: object, target: object) -> None:
    raise ProviderError(Kind.SERVER_ERROR, "down")


LENIENT: dict[str, Any] = {"unknown_models": "default"}


def test_the_default_is_no_way_around() -> None:
    """A name nothing knows stands for the default; a list that names the one does not allow the other."""
    world = World({"keys": [static(models=["zz-*"]), static("two", "other-key-0123456789", models=["r"])]}, **LENIENT)

    assert 403 == world.with_key("static-key-0123456789", body={"model": "zz-9"}).status
    assert 200 == world.with_key("other-key-0123456789", body={"model": "zz-9"}).status


def test_lists_of_models() -> None:
    """`/v1/models` shows what a key may use, and nothing else is there for it."""
    world = World({"keys": [static(models=["a/*"]), static("two", "other-key-0123456789")]})
    shown = world.with_key("static-key-0123456789", path="/v1/models", method="GET").body["data"]
    whole = world.with_key("other-key-0123456789", path="/v1/models", method="GET").body["data"]
    one = [
        world.with_key(key, path="/v1/models/b/echo", method="GET").status
        for key in ("static-key-0123456789", "other-key-0123456789")
    ]

    assert {"a", "aigateway"} == {card["owned_by"] for card in shown}  # the route leads to `a`, too
    assert {"a", "b", "aigateway"} == {card["owned_by"] for card in whole}
    assert "b/echo" not in json.dumps(shown)
    assert [404, 200] == one


def test_scopes() -> None:
    """A key without the scope for a route is known, and refused; an operator may do everything."""
    keys = [static(scopes=["chat"]), static("none", "other-key-0123456789", scopes=[])]
    world = World({"keys": [*keys, static("operator", "admin-key-0123456789", scopes=["admin"])]})
    found = {
        key: [
            world.with_key(key).status,
            world.with_key(key, path="/v1/models", method="GET").status,
            world.with_key(key, path="/admin/keys", method="GET").status,
        ]
        for key in ("static-key-0123456789", "other-key-0123456789", "admin-key-0123456789")
    }

    assert [[200, 200, 403], [403, 200, 403], [200, 200, 200]] == list(found.values())


# -- what the log says ------------------------------------------------------------------------


def test_failed_log_ins_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Each is one line with the reason and the masked key, so that they can be counted; no key is in it."""
    table = [static(), static("over", "over-key-0123456789", expires="2026-01-01")]
    world = World({"keys": table, "weekly": root(ROOT)})
    with caplog.at_level(logging.INFO, logger="aigateway.access"):
        world.with_key("canary-wrong")
        world.with_key("canary-wrong")
        world.with_key("over-key-0123456789")
        world.ask()
        world.ask(("x-api-key", "canary-1"), ("api-key", "canary-2"))
        world.ask(query="key=canary")
        world.ask(("admin-secret", "canary-root"), path="/current-key", method="GET")
        world.with_key("static-key-0123456789")
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "aigateway.access"]
    told = [(line["status"], line.get("why"), bool(line["key"])) for line in lines]

    assert [
        (401, "unknown", True),
        (401, "unknown", True),
        (401, "expired or revoked", True),
        (401, "missing", False),
        (401, "several keys", False),
        (401, "a key in the URL", False),
        (403, "a wrong root secret", True),
        (200, None, True),
    ] == told
    assert lines[0]["key"] == lines[1]["key"] != lines[7]["key"]
    assert "canary" not in caplog.text
