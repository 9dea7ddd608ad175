"""The sixteen faults of the public bench, with `sixteen.toml` and with the defaults.

Full marks are judged by what the caller got, when, and by the vendors' own record of their calls.
"""

from __future__ import annotations

import time

import anyio

from .judging import QUICK, begin, whole, whole_or_error
from .scripts import answers, cuts, fails, refuses, says, silent
from .vendor import Turn
from .wall import Stage, fault

PATIENCE_IS_NONE = "patience is 0: a throttled target is not waited for, the fallback answers at once"
LIMIT_IS_LONG = "first_content is 60 s: a silent target is given that long"


@fault(1, takes=3, by_default=PATIENCE_IS_NONE)
async def test_fault_01_throttled_once(stage: Stage) -> str:
    """429 with Retry-After 2, then fine → waits about 2 s and succeeds at the primary; no tight loop"""
    begin(stage, refuses(429, retry_after="2"), answers())
    answer = await stage.ask()

    assert whole(answer, stage, "primary")
    assert 2 == len(stage.primary.asked)
    assert 1.9 <= stage.primary.gaps[0] <= stage.within(4)
    return f"{answer.provider} answered at its second call, {stage.primary.gaps[0]:.1f} s after the first"


@fault(2, takes=5)
async def test_fault_02_throttled_for_ever(stage: Stage) -> str:
    """429 for ever, no header → jittered back-off, at most 4 calls in 3 s and 6 in all, then the fallback answers"""
    begin(stage, refuses(429))
    answer = await stage.ask()
    calls, gaps = stage.primary.asked, stage.primary.gaps

    assert whole(answer, stage, "fallback")
    assert len(calls) <= 6
    assert sum(call.at - calls[0].at <= 3 for call in calls) <= 4
    assert all(gap > 0.04 for gap in gaps)
    assert len({round(gap, 3) for gap in gaps}) == len(gaps)
    return f"{answer}; the primary was asked {len(calls)}x, {', '.join(f'{gap:.2f}' for gap in gaps) or 'no'} s apart"


@fault(3)
async def test_fault_03_one_500(stage: Stage) -> str:
    """one 500, then fine → one quick retry at the same provider"""
    begin(stage, refuses(500), answers())
    answer = await stage.ask()

    assert whole(answer, stage, "primary")
    assert 2 == len(stage.primary.asked)
    assert not stage.fallback.asked
    assert stage.primary.gaps[0] < QUICK
    return f"{answer.provider} answered at its second call, {stage.primary.gaps[0]:.2f} s after the first"


@fault(4)
async def test_fault_04_503_for_ever(stage: Stage) -> None:
    """503 for ever → at most 6 calls, fallback answers"""
    begin(stage, refuses(503))
    answer = await stage.ask()

    assert whole(answer, stage, "fallback")
    assert len(stage.primary.asked) <= 6


@fault(5)
async def test_fault_05_reset_before_the_headers(stage: Stage) -> None:
    """reset before the headers, then fine → answered"""
    begin(stage, fails(reset=True), answers())
    answer = await stage.ask()

    assert whole(answer, stage, "primary", "fallback")
    assert len(stage.primary.asked) <= 2


@fault(6, takes=60, by_default=LIMIT_IS_LONG)
async def test_fault_06_never_answers(stage: Stage) -> None:
    """accepts and never answers → the silent route is asked once, fallback answers inside the budget (30 s)"""
    begin(stage, silent())
    answer = await stage.ask()

    assert whole(answer, stage, "fallback")
    assert 1 == len(stage.primary.asked)
    assert answer.seconds < stage.within(30)


@fault(7, takes=20, by_default=LIMIT_IS_LONG)
async def test_fault_07_first_token_late(stage: Stage) -> None:
    """headers at once, first token after 20 s → a first-content limit goes on before 15 s"""
    begin(stage, answers(late=stage.seconds(20)))
    answer = await stage.ask()

    assert whole(answer, stage, "fallback")
    assert stage.fallback.asked[0].at - stage.primary.asked[0].at < stage.within(15)
    assert 1 == len(stage.primary.asked)


@fault(8)
async def test_fault_08_cut_at_40_of_60(stage: Stage) -> str:
    """stream cut after 40 of 60 tokens, no end → whole answer from the fallback, or a clear error; never a cut
    answer as success
    """
    seen = []
    for script in (fails(after=40), fails(after=40, reset=True), cuts(40)):
        begin(stage, script)
        answer = await stage.ask()
        seen.append(str(answer))

        assert whole_or_error(answer, stage)
    return f"FIN: {seen[0]}; RST: {seen[1]}; clean end of the body: {seen[2]}"


@fault(9, takes=32)
async def test_fault_09_silence_after_20_tokens(stage: Stage) -> str:
    """20 tokens, then silence with the socket open → bounded; whole answer or clear error; healthy afterwards"""
    begin(stage, silent(after=20), answers())
    answer = await stage.ask()
    again = await stage.ask()

    assert whole_or_error(answer, stage)
    assert answer.seconds < stage.within(40)
    assert whole(again, stage, "primary")
    assert stage.primary.asked[0].closed
    return f"{answer}; the next: {again}"


@fault(10)
async def test_fault_10_one_event_is_no_json(stage: Stage) -> None:
    """one event is invalid JSON → all 60 tokens"""
    begin(stage, says(b'{"choices": [{"delta": {"cont', tokens=30, finish=True))
    answer = await stage.ask()

    assert whole(answer, stage, "primary", "fallback")


@fault(11)
async def test_fault_11_no_done(stage: Stage) -> None:
    """complete, clean HTTP end, no `[DONE]` → finished at once, usage reported"""
    begin(stage, answers(done=False))
    answer = await stage.ask()

    assert whole(answer, stage, "primary")
    assert stage.primary.usage == answer.usage
    assert answer.seconds < QUICK


@fault(12)
async def test_fault_12_context_length(stage: Stage) -> None:
    """400 context length → primary asked once; a larger (or unknown) window answers"""
    begin(stage, refuses(400, code="context_length_exceeded", message="maximum context length is 8192 tokens"))
    answer = await stage.ask()

    assert whole(answer, stage, "fallback")
    assert 1 == len(stage.primary.asked)


@fault(13)
async def test_fault_13_content_policy(stage: Stage) -> str:
    """400 content policy → primary asked once; the vendor's reason reaches the caller"""
    reason = "Your request was rejected by our safety system"
    begin(stage, refuses(400, code="content_policy_violation", message=reason))
    answer = await stage.ask()

    assert (400, "content_policy") == (answer.status, answer.error)
    assert reason in answer.message
    assert (1, 0) == (len(stage.primary.asked), len(stage.fallback.asked))
    return f"{answer.status} {answer.error}: {answer.message!r}; primary asked once"


@fault(14)
async def test_fault_14_fallback_refuses_prefill(stage: Stage) -> None:
    """cut mid-stream; the fallback refuses assistant prefill → no prefill error reaches the caller"""

    async def picky(turn: Turn) -> None:
        if turn.asked.body["messages"][-1]["role"] == "assistant":
            await refuses(400, message="assistant prefill is not supported")(turn)
        else:
            await answers()(turn)

    stage.primary.plays(fails(after=40))
    stage.fallback.plays(picky)
    answer = await stage.ask()

    assert whole_or_error(answer, stage)
    assert "prefill" not in answer.message


@fault(15, takes=90)
async def test_fault_15_an_outage_and_its_end(stage: Stage) -> str:
    """503 for 60 s, then healthy, a request every 4 s → served throughout; back at the primary within 30 s of its
    healing
    """
    begin(stage, refuses(503))
    outage = 60.0 if stage.scale == 1.0 else 6.0  # rests are not scaled: after a longer one they are longer
    began = time.monotonic()
    healed = back = 0.0
    while not back:
        now = time.monotonic()
        if not healed and now - began >= outage:
            stage.primary.plays(answers())
            healed = now
        answer = await stage.ask()

        assert whole(answer, stage, "primary", "fallback")
        if healed and answer.provider == "primary":
            back = time.monotonic() - healed
        assert not healed or time.monotonic() - healed < 30
        await anyio.sleep(stage.seconds(4))
    calls = len(stage.primary.asked)
    return f"{len(stage.answers)} of {len(stage.answers)} served; back after {back:.1f} s; primary asked {calls}x"


@fault(16)
async def test_fault_16_who_answered_and_what_it_cost(stage: Stage) -> str:
    """503; fallback answers → answer names the fallback's model and carries usage; failed calls are not billed as
    answers
    """
    begin(stage, refuses(503))
    for stream in (True, False):
        answer = await stage.ask(stream=stream)

        assert whole(answer, stage, "fallback")
        assert "model-b" == answer.model
        assert stage.fallback.usage == answer.usage
        steps = answer.decision.steps if answer.decision else ()
        assert [] == [step for step in steps if step.outcome != "complete" and step.billed == "yes"]
    return f"model {answer.model!r}, usage {dict(answer.usage or {})}"
