"""D. Cancellation and lifecycle: whoever leaves takes everything along."""

from __future__ import annotations

import signal
import time
from functools import partial

import anyio
import httpx2

from .judging import begin, whole
from .scripts import answers, begins, ends, silent
from .settings import DEFAULTS
from .vendor import Turn
from .wall import SERVED, Stage, row


@row("45")
async def test_row_45_client_leaves(stage: Stage) -> str:
    """disconnect of a caller, whole or streamed, before and after content → upstream closed within 1 s, nothing in
    flight
    """
    took = []
    for stream, script in ((False, silent()), (True, silent()), (True, silent(after=20))):
        begin(stage, script)
        before = len(stage.primary.asked)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(stage.ask, stream=stream))
            with anyio.fail_after(20):
                while len(stage.primary.asked) == before:
                    await anyio.sleep(0.01)
            await anyio.sleep(0.3)
            tasks.cancel_scope.cancel()
        left = time.monotonic()
        asked = stage.primary.asked[-1]
        with anyio.fail_after(10):
            while not asked.closed:
                await anyio.sleep(0.01)
        took.append((asked.closed_at or 0) - left)

    assert max(took) < 1
    assert not stage.fallback.asked
    return f"closed upstream within {max(0.0, *took):.2f} s"


@row("47", DEFAULTS + "\n[server]\ndrain = 6.0\n", doors=SERVED, alone=True, takes=10)
async def test_row_47_sigterm(stage: Stage) -> str:
    """SIGTERM with 50 streams → no new accepts, those that end while draining are whole, the rest get an in-band
    error, exit 0
    """
    told = anyio.Event()

    async def ends_in_time(turn: Turn) -> None:
        await begins(turn)
        await turn.tokens(0, 30)
        await told.wait()
        await turn.tokens(30)
        await ends(turn)

    begin(stage, *[ends_in_time] * 25, silent(after=20))
    server = stage.server
    assert server is not None
    codes = []

    async def stop() -> None:
        with anyio.fail_after(60):
            while len(stage.primary.asked) < 50:
                await anyio.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        await anyio.sleep(0.5)
        told.set()
        codes.append(await server.ended())

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(stage.ask)
        tasks.start_soon(stop)
    async with httpx2.AsyncClient() as client:
        try:
            refused = (await client.get(server.url.replace("/v1", "/health"))).status_code == 503
        except httpx2.ConnectError:
            refused = True
    done = [answer for answer in stage.answers if whole(answer, stage, "primary")]
    cut = [answer for answer in stage.answers if answer.error == "shutting_down"]

    assert [0] == codes
    assert refused
    assert (25, 25) == (len(done), len(cut)), ", ".join(map(str, stage.answers))
    assert "Traceback" not in server.log
    return f"exit {codes[0]}; {len(done)} streams whole, {len(cut)} told so in band"


SLEEPY = DEFAULTS + '\n[[guards]]\nuse = "sleepy"\n'


@row("49", SLEEPY, doors=SERVED, alone=True, takes=8)
async def test_row_49_blocked_loop(stage: Stage) -> str:
    """event-loop block of 5 s (bad plug-in) → detected, logged with the plug-in's name; timers not counted as
    upstream faults
    """
    begin(stage, answers(pace=0.02))
    seconds = max(stage.seconds(5), 2.5)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(stage.ask)
        with anyio.fail_after(20):
            while len(stage.primary.asked) < 3:
                await anyio.sleep(0.01)
        blocking = [{"role": "user", "content": f"sleep {seconds}"}]
        tasks.start_soon(partial(stage.ask, messages=blocking))
    server = stage.server
    assert server is not None
    found = await server.wait_for(r"the event loop stands still in (the guard 'sleepy')")

    assert all(whole(answer, stage, "primary") for answer in stage.answers)
    assert not stage.fallback.asked
    return f"logged: stands still in {found[1]}; {len(stage.answers)} of 4 streams whole"
