"""A. Upstream before the first token: whatever happens there, the caller gets one answer, or one error."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import anyio

from aigateway.testing.toxics import BlackHole, Toxics

from .certified import NAMES, certified
from .judging import begin, whole
from .scripts import answers, completion, raw, refuses
from .settings import provider, route, routes
from .vendor import Script, Turn, Vendor
from .wall import Stage, row

TWO = provider("primary") + provider("fallback")


def by_model(**scripts: Script) -> Script:
    """Play what the model's name says."""

    async def play(turn: Turn) -> None:
        await scripts[turn.model](turn)

    return play


NOWHERE = (
    provider("refused", url="http://127.0.0.1:1/v1")
    + provider("nowhere", url="http://no-such-host.invalid/v1")
    + provider("fallback")
    + routes(smart="refused/a fallback/b", dns="nowhere/a fallback/b")
)


@row("1", NOWHERE)
async def test_row_01_no_connection(stage: Stage) -> str:
    """DNS failure / connection refused on provider 1 → answered by the next, the breaker counts 1"""
    stage.fallback.plays(answers())
    for model in ("smart", "dns"):
        assert whole(await stage.ask(model), stage, "fallback")
    assert stage.failures("refused/a") in {1, None}
    assert stage.failures("nowhere/a") in {1, None}
    return "; ".join(map(str, stage.answers))


@asynccontextmanager
async def black_hole(vendors: Mapping[str, Vendor]) -> AsyncIterator[Mapping[str, str]]:
    """Let no connection to the primary through: not even its SYN is answered."""
    async with Toxics.before(vendors["primary"].url, BlackHole(accept=False)) as proxy:
        yield {"primary": proxy.url}


@row("2", route("timeouts = { connect = 5.0 }"), network=black_hole, takes=5)
async def test_row_02_black_hole(stage: Stage) -> str:
    """TCP black hole (SYN dropped) → answered by the next at the connect limit (5 s), not at the total"""
    begin(stage, answers())
    began = time.monotonic()
    answer = await stage.ask()

    assert whole(answer, stage, "fallback")
    assert stage.seconds(4.5) <= stage.fallback.asked[0].at - began <= stage.within(10)
    return str(answer)


TLS = (
    "".join(provider(name, url=f"https://{name}/v1") for name in NAMES)
    + provider("fallback")
    + routes(
        good="good/a fallback/b", expired="expired/a fallback/b", wrong="wrong/a fallback/b",
        unknown="unknown/a fallback/b", only="expired/c",
    )
)  # fmt: skip  # a list of routes


@row("3", TLS, network=certified, takes=2)
async def test_row_03_tls(stage: Stage) -> str:
    """TLS failure (expired, wrong host, unknown authority) → answered by the next; never unverified; no
    certificate in the error's text
    """
    stage.fallback.plays(answers())
    for name in ("expired", "wrong", "unknown"):
        answer = await stage.ask(name, stream=False)

        assert whole(answer, stage, "fallback")
        assert not stage.vendors[name].asked
    refused = await stage.ask("only", stream=False)

    assert (503, "no_answer") == (refused.status, refused.error)
    assert "localhost" not in refused.message
    assert "CERTIFICATE" not in refused.message.upper()
    if stage.served:  # where the authority is trusted, a good certificate is what makes the difference
        good = await stage.ask("good", stream=False)

        assert whole(good, stage, "good")
    return f"three bad ones answered by the next; alone: {refused}"


STATUSES = (500, 502, 503, 504, 529)


@row("4", TWO + routes(**{f"smart{status}": f"primary/m{status} fallback/b" for status in STATUSES}))
async def test_row_04_server_errors(stage: Stage) -> str:
    """500, 502, 503, 504, 529 each → once more at the same target, then the next; at most 3 calls that may be billed"""
    begin(stage, by_model(**{f"m{status}": refuses(status) for status in STATUSES}))
    for status in STATUSES:
        before = len(stage.fallback.asked)
        answer = await stage.ask(f"smart{status}")

        assert whole(answer, stage, "fallback")
        assert 2 == stage.calls("primary", f"m{status}")
        assert 1 == len(stage.fallback.asked) - before
    return f"each: primary asked 2x, fallback 1x; last: {answer}"


@row("5", takes=3)
async def test_row_05_retry_after(stage: Stage) -> str:
    """429 + `Retry-After: 2` → provider not touched again for at least 2 s; answered by the next at once"""
    begin(stage, refuses(429, retry_after="2"), answers())
    first = await stage.ask()
    while len(stage.primary.asked) < 2:
        assert whole(await stage.ask(), stage, "primary", "fallback")
        await anyio.sleep(0.1)

    assert whole(first, stage, "fallback")
    assert stage.fallback.asked[0].at - stage.primary.asked[0].at < 2
    assert stage.primary.gaps[0] >= 1.99
    return f"{first}; the primary was asked again {stage.primary.gaps[0]:.2f} s later"


KEYS = (
    TWO
    + provider("third")
    + routes(smart="primary/a fallback/b", barred="third/a fallback/b", only="primary/a", onlybarred="third/a")
)


async def refused_key(stage: Stage, name: str, model: str, alone: str) -> None:
    """Ask a route whose first key is refused, twice, and that target alone: the caller learns nothing of our key."""
    for _ in range(2):
        assert whole(await stage.ask(model), stage, "fallback")
    assert 1 == stage.calls(name)
    answer = await stage.ask(alone)

    assert answer.status in {502, 503}
    assert "0123456789abcdef" not in answer.message
    line = next(line for line in stage.log.splitlines() if "rests for" in line and name in line)
    assert "WARN" in line
    assert "0123456789abcdef" not in line


@row("8", KEYS)
async def test_row_08_key_refused(stage: Stage) -> str:
    """401/403 from upstream (operator key revoked) → key rests, a warning is logged, the next answers; caller
    never sees 401
    """
    begin(stage, refuses(401, code="invalid_api_key", message="Incorrect API key provided"))
    stage.vendors["third"].plays(refuses(403, message="this key may not do that"))
    await refused_key(stage, "primary", "smart", "only")
    await refused_key(stage, "third", "barred", "onlybarred")
    return f"answered by the next; the target alone: {stage.answers[2]} (401), {stage.answers[5]} (403)"


@row("9", KEYS)
async def test_row_09_no_money(stage: Stage) -> str:
    """402 insufficient balance → as 8"""
    begin(stage, refuses(402, message="Insufficient Balance"))
    await refused_key(stage, "primary", "smart", "only")
    return f"answered by the next; the target alone: {stage.answers[2]}"


SECRET = "sk-primary-0123456789abcdef"
PAGE = f"<html><body>{SECRET} {'spam and eggs ' * 200}</body></html>".encode()


@row("11", TWO + routes(page="primary/html fallback/b", cut="primary/cut fallback/b"))
async def test_row_11_no_json(stage: Stage) -> str:
    """HTML or truncated JSON with 200 → answered by the next; what is logged of it is masked and at most 256
    characters
    """

    async def page(turn: Turn) -> None:
        await turn.whole(200, PAGE, content_type="text/html")

    async def cut(turn: Turn) -> None:
        await turn.whole(200, b'{"key": "' + SECRET.encode() + b'", "choices": [{"message": {"content": "spam and eg')

    begin(stage, by_model(html=page, cut=cut))
    for model in ("page", "cut"):
        for stream in (True, False):
            assert whole(await stage.ask(model, stream=stream), stage, "fallback")
    logged = stage.log

    assert "0123456789abcdef" not in logged
    assert "spam and eggs " * 19 not in logged
    return f"{stage.answers[-1]}; {stage.summary().partition('; ')[2]}"


@row("12")
async def test_row_12_bad_request(stage: Stage) -> str:
    """400/422 for a bad request → no retry, no failover, 400, breaker unaffected"""
    bad = [refuses(status, message="temperature must be a number", code="invalid_value") for status in (400, 422) * 5]
    begin(stage, *bad, answers())
    for _ in bad:
        answer = await stage.ask()

        assert 400 == answer.status
        assert "temperature must be a number" in answer.message
    last = await stage.ask()

    assert whole(last, stage, "primary")
    assert (11, 0) == (len(stage.primary.asked), len(stage.fallback.asked))
    return f"10x {answer.status} {answer.error}, one call each; then {last}"


WINDOWS = (
    provider("primary")
    + provider("small", "groq")
    + routes(
        smart="primary/gpt-5.4 small/openai/gpt-oss-120b", larger="small/openai/gpt-oss-20b primary/gpt-5.4",
    )
)  # fmt: skip  # a list of routes


@row("13", WINDOWS)
async def test_row_13_context_length(stage: Stage) -> str:
    """400 context-length-exceeded → only to a model with a larger window if configured, else 400"""
    too_long = refuses(400, code="context_length_exceeded", message="this model's maximum context length is less")
    small = stage.vendors["small"]
    stage.primary.plays(too_long, answers())
    small.plays(too_long)
    refused, larger = await stage.ask(), await stage.ask("larger")

    assert (400, "context_length") == (refused.status, refused.error)
    assert whole(larger, stage, "primary")
    assert (2, 1) == (len(stage.primary.asked), len(small.asked))
    return f"no larger one: {refused}; a larger one: {larger}"


@row("14")
async def test_row_14_all_down(stage: Stage) -> str:
    """all providers down → 503 before the deadline, Retry-After, `x-should-retry: false`, all causes"""
    stage.primary.plays(refuses(503))
    stage.fallback.plays(refuses(500))
    answer = await stage.ask()
    causes = [(reason["provider"], reason["kind"]) for reason in answer.reasons]
    causes = [(stage.names.plain(str(who)), str(kind)) for who, kind in causes]

    assert (503, "false") == (answer.status, answer.headers["x-should-retry"])
    assert int(answer.headers["retry-after"]) >= 1
    assert {("primary", "overloaded"), ("fallback", "server_error")} == set(causes)
    assert answer.seconds < 10
    return f"{answer}; retry-after {answer.headers['retry-after']}; causes: {causes}"


@row("15", TWO + provider("third") + routes(smart="primary/a fallback/b", never="third/c"))
async def test_row_15_redirect(stage: Stage) -> str:
    """redirect 302 to another host → not followed, key not sent on, answered by the next"""
    third = stage.vendors["third"]
    third.plays(answers())
    begin(stage, refuses(302, location=f"{third.url}/chat/completions"))
    for stream in (True, False):
        assert whole(await stage.ask(stream=stream), stage, "fallback")
    assert 0 == third.connections
    return stage.summary()


HUGE = b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-evil-%d: %s\r\n" % (number, b"v" * 1000) for number in range(1024))


@row("17", TWO + routes(smart="primary/huge fallback/b", lines="primary/lines fallback/b"))
async def test_row_17_headers(stage: Stage) -> str:
    """response headers of 1 MiB or CR/LF in values → rejected, nothing reflected to the client"""
    lines = b"HTTP/1.1 200 OK\r\nx-request-id: a\rx-evil-1: 1\r\n x-evil-2: 2\r\ncontent-length: 2\r\n\r\n{}"
    begin(stage, by_model(huge=raw(HUGE), lines=raw(lines)))
    for model in ("smart", "lines"):
        for stream in (True, False):
            answer = await stage.ask(model, stream=stream)

            assert whole(answer, stage, "fallback")
            assert "evil" not in str(dict(answer.headers)).lower()
    return stage.summary()


PATIENT = "timeouts = { answer = 30.0 }"


@row(
    "18",
    route(PATIENT) + routes(dead="primary/never fallback/b") + PATIENT,
    takes=32,
)
async def test_row_18_blank_lines(stage: Stage) -> str:
    """blank keep-alive lines, then JSON (whole body) → parsed if the `answer` timer allows, else answered by the
    next
    """

    async def blank_lines(turn: Turn) -> None:
        await turn.open_stream(content_type="application/json")
        for _ in range(10):
            await turn.piece(b"\n")
            await anyio.sleep(stage.seconds(1))
        await turn.piece(json.dumps(completion(turn)).encode())
        await turn.end()

    async def only_blank_lines(turn: Turn) -> None:
        await turn.open_stream(content_type="application/json")
        while True:
            await turn.piece(b"\n")
            await anyio.sleep(stage.seconds(1))

    begin(stage, by_model(**{"model-a": blank_lines, "never": only_blank_lines}))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(stage.ask, stream=False))
        tasks.start_soon(partial(stage.ask, "dead", stream=False))
    spoke, silent = sorted(stage.answers, key=lambda answer: answer.provider, reverse=True)

    assert whole(spoke, stage, "primary")
    assert whole(silent, stage, "fallback")
    assert silent.seconds <= stage.within(35)
    assert 1 == stage.calls("primary", "never")
    return f"blank lines for 10 s: {spoke}; for ever: {silent}"
