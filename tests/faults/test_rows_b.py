"""B. Streaming: one clean stream or one clear error, whatever the vendor does in the middle of it."""

from __future__ import annotations

import json
import time
from urllib.parse import urlsplit

import anyio

from .ask import PROMPT
from .judging import begin, roles, whole
from .leaks import all_quiet
from .scripts import answers, begins, cuts, ends, fails, refuses, says
from .settings import DEFAULTS, provider, routes
from .vendor import HangUp, Turn
from .wall import SERVED, Stage, row

IN_BAND = {"error": {"message": "the engine is overloaded", "type": "server_error", "code": "server_is_overloaded"}}
MIB = 1024 * 1024


@row("19")
async def test_row_19_reset_before_data(stage: Stage) -> str:
    """RST after headers, before data → answered by the next, a single clean stream"""

    async def headers_only(turn: Turn) -> None:
        await turn.open_stream()
        await anyio.sleep(0.05)
        raise HangUp(reset=True)

    for script in (headers_only, fails(reset=True, after=0)):
        begin(stage, script)
        answer = await stage.ask()

        assert whole(answer, stage, "fallback")
        assert 1 == roles(answer)
    return stage.summary()


@row("20")
async def test_row_20_role_then_error(stage: Stage) -> str:
    """role-only chunk, then error event → answered by the next, client sees one role chunk"""
    begin(stage, says(IN_BAND))
    answer = await stage.ask()

    assert whole(answer, stage, "fallback")
    assert 1 == roles(answer)
    return f"{answer}; {roles(answer)} role chunk"


@row("25")
async def test_row_25_error_in_the_stream(stage: Stage) -> str:
    """in-band `{"error": ...}` after content (HTTP 200) → surfaced as error, the breaker counts it"""
    begin(stage, says(IN_BAND, tokens=20))
    for _ in range(5):
        answer = await stage.ask()

        assert "stream_interrupted" == answer.error
        assert "overloaded" in answer.message
        assert answer.text == "".join(map(stage.primary.token, range(20)))
    after = await stage.ask()

    assert whole(after, stage, "fallback")
    assert 5 == len(stage.primary.asked)
    return f"5x {answer.error} with the 20 tokens; then the breaker is open: {after}"


@row("26")
async def test_row_26_end_without_a_finish_reason(stage: Stage) -> str:
    """clean EOF without `[DONE]`/finish_reason → interrupted, not success"""
    begin(stage, cuts(40))
    answer = await stage.ask()

    assert "stream_interrupted" == answer.error
    assert answer.text == "".join(map(stage.primary.token, range(40)))
    assert stage.failures("primary/model-a") in {1, None}
    if stage.served:
        lines: list[str] = []
        with anyio.fail_after(5):
            while not lines:  # it is written when the client has its answer
                lines = [line for line in stage.log.splitlines() if '"operation"' in line]
                await anyio.sleep(0.05)
        assert '"outcome":"interrupted"' in lines[0]
    return str(answer)


@row("28")
async def test_row_28_endless_line(stage: Stage) -> str:
    """50 MiB single `data:` line → cut at the 1 MiB event cap, error, memory bounded"""

    async def flood(turn: Turn) -> None:
        await turn.piece(b"data: ")
        for _ in range(800):
            await turn.piece(b"x" * 65536)

    async def at_once(turn: Turn) -> None:
        await begins(turn)
        await flood(turn)

    async def later(turn: Turn) -> None:
        await begins(turn)
        await turn.tokens(0, 5)
        await flood(turn)

    begin(stage, at_once)
    first = await stage.ask()
    stage.primary.plays(later)
    second = await stage.ask()

    assert whole(first, stage, "fallback")
    assert "stream_interrupted" == second.error
    await all_quiet(stage.vendors.values())
    assert all(call.sent < 10 * MIB and call.closed for call in stage.primary.asked)
    taken = ", ".join(f"{call.sent / MIB:.1f}" for call in stage.primary.asked)
    return f"before content: {first}; after it: {second}; MiB taken of 50: {taken}"


@row("29")
async def test_row_29_two_ends(stage: Stage) -> str:
    """data after `[DONE]`, two `[DONE]`, two finish_reasons → ignored after the first, connection not pooled"""

    async def babbles(turn: Turn) -> None:
        await begins(turn)
        await turn.tokens()
        await turn.delta({}, "stop")
        await turn.delta({"content": "more"}, "length")
        await turn.usage()
        for _ in range(2):
            await turn.event(b"[DONE]")
            await turn.delta({"content": "and more"})
        await anyio.sleep_forever()

    begin(stage, babbles)
    for _ in range(2):
        assert whole(await stage.ask(), stage, "primary")
    assert 2 == stage.primary.connections
    return stage.summary()


@row("30")
async def test_row_30_usage(stage: Stage) -> str:
    """usage chunk missing / twice / before content → said to be unknown, never invented / last wins / accepted;
    told once
    """
    last = {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15}

    async def twice(turn: Turn) -> None:
        await begins(turn)
        await turn.tokens()
        await turn.delta({}, "stop")
        await turn.usage()
        await turn.event({**turn.named("chat.completion.chunk"), "choices": [], "usage": last})
        await turn.event(b"[DONE]")
        await turn.end()

    async def before(turn: Turn) -> None:
        await turn.open_stream()
        await turn.usage()
        await turn.tokens()
        await ends(turn, usage=False)

    seen = []
    for script, expected in ((answers(usage=False), None), (twice, last), (before, stage.primary.usage)):
        begin(stage, script)
        answer = await stage.ask()
        told = [chunk for chunk in answer.chunks if chunk.get("usage")]
        seen.append(answer.usage and answer.usage["total_tokens"])

        assert whole(answer, stage, "primary")
        assert expected == answer.usage
        assert len(told) == (expected is not None)
    return f"total tokens told: missing {seen[0]}, twice {seen[1]}, before content {seen[2]}"


@row("31", DEFAULTS + "\n[server]\nwrite_timeout = 2.0\n", doors=SERVED, alone=True, takes=6)
async def test_row_31_slow_client(stage: Stage) -> str:
    """slow client (reads nothing) with a fast upstream → back-pressure, then client-write timeout; nothing is left"""

    async def fast(turn: Turn) -> None:
        await begins(turn)
        while True:
            await turn.delta({"content": "x" * 1000})

    begin(stage, fast)
    server = stage.server
    assert server is not None
    host = urlsplit(server.url)
    question = {"model": stage.names.own("smart"), "stream": True, "messages": PROMPT}
    body = json.dumps(question).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += b"content-length: %d\r\n\r\n" % len(body)
    began = time.monotonic()
    async with await anyio.connect_tcp(str(host.hostname), int(host.port or 0)) as client:
        await client.send(head + body)
        with anyio.fail_after(30):
            while not (stage.primary.asked and stage.primary.asked[0].closed):
                await anyio.sleep(0.05)
    asked = stage.primary.asked[0]

    assert asked.sent < 24 * MIB
    return f"upstream closed after {time.monotonic() - began:.1f} s, {asked.sent / MIB:.1f} MiB taken of it"


@row("32")
async def test_row_32_crossed_answer(stage: Stage) -> str:
    """vendor sends another request's id/model → mismatch logged and counted; nothing of ours reflected"""

    async def crosses(turn: Turn) -> None:
        await begins(turn)
        await turn.tokens(0, 30)
        other = {"id": "chatcmpl-somebody-else", "object": "chat.completion.chunk", "created": 1, "model": "other"}
        choice = {"index": 0, "delta": {"content": stage.primary.token(30)}, "finish_reason": None}
        await turn.event({**other, "choices": [choice]})
        await turn.tokens(31)
        await ends(turn)

    begin(stage, crosses)
    answer = await stage.ask()

    assert whole(answer, stage, "primary")
    assert "another answer" in stage.log or "crossed" in stage.log
    return str(answer)


@row("33", provider("primary", "plain") + routes(smart="primary/a"), doors=SERVED)
async def test_row_33_stream_options(stage: Stage) -> str:
    """client sends `stream_options` not supported upstream → dropped, no 400"""

    async def strict(turn: Turn) -> None:
        play = refuses(400, message="unknown field") if "stream_options" in turn.asked.body else answers(usage=False)
        await play(turn)

    stage.primary.plays(strict)
    for options in ({"include_usage": True}, {"include_usage": True, "include_obfuscation": False}):
        answer = await stage.ask(stream_options=options)

        assert whole(answer, stage, "primary")
    return str(answer)
