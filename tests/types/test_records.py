"""Usage adds up, decisions explain themselves in prose, callers and targets print as names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.types import (
    ANYONE,
    IN_PROCESS,
    Call,
    Caller,
    Candidate,
    ChatRequest,
    Decision,
    Drop,
    Step,
    Target,
    Trace,
    Usage,
)

COUNT = st.integers(0, 10**9)


@given(COUNT, COUNT, COUNT, COUNT, COUNT)
def test_usage_adds_up(prompt: int, answer: int, cached: int, written: int, reasoning: int) -> None:
    """The whole is prompt plus answer, buckets are never negative, OpenAI's names mean the same."""
    usage = Usage(prompt, answer, cached, written, reasoning, "reported")
    told = usage.openai()

    assert prompt + answer == usage.total == usage.total_tokens == told["total_tokens"]
    assert prompt == usage.prompt_tokens == told["prompt_tokens"]
    assert answer == usage.completion_tokens == told["completion_tokens"]
    assert max(0, prompt - cached - written) == usage.uncached
    assert {"cached_tokens": cached, "cache_write_tokens": written} == told["prompt_tokens_details"]
    assert {"reasoning_tokens": reasoning} == told["completion_tokens_details"]


def test_unknown_usage_says_so() -> None:
    """Zeros nobody counted are marked as unknown."""
    assert "unknown" == Usage().source


def test_a_decision_explains_itself() -> None:
    """Sentences in order: what was asked, each step, who was not asked, warnings, changes."""
    decision = Decision(
        asked="smart",
        resolved="the route 'smart'",
        candidates=("a/x", "b/y", "c/z"),
        dropped=(Drop("c/z", "context_window", "it cannot help with what failed before"),),
        steps=(
            Step("a/x", "rate_limit", seconds=0.0124, reason="slow down."),
            Step("b/y", "complete", seconds=1.5, wait=0.25),
        ),
        warnings=("x is retired; a/x answers instead",),
        notes=("max_tokens was sent as max_completion_tokens (b/y)",),
    )

    assert "b/y" == decision.answered_by
    assert 2 == decision.attempts
    assert [
        "'smart' is the route 'smart', to be tried in this order: a/x, b/y, c/z.",
        "a/x failed after 12 ms with rate_limit: slow down.",
        "b/y answered in 1500 ms (after a wait of 0.25 s).",
        "c/z was not asked: it cannot help with what failed before.",
        "Note: x is retired; a/x answers instead.",
        "Changed for the vendor: max_tokens was sent as max_completion_tokens (b/y).",
    ] == decision.explain().splitlines()


def test_a_decision_without_an_answer_says_so() -> None:
    """Nobody answered, no model named: both are told; a dry run has no such line."""
    failed = Decision("", "the route 'smart'", ("a/x",), steps=(Step("a/x", "timeout"),))

    assert None is failed.answered_by
    assert "No model was named; the default is the route 'smart'." in failed.explain()
    assert "a/x failed after 0 ms with timeout." in failed.explain()
    assert failed.explain().endswith("Nobody answered.")
    assert "'m' is in the catalogue of 'a'." == Decision("m", "in the catalogue of 'a'", ("a/x",)).explain()


def test_a_caller_who_left_is_not_a_failure_of_the_target() -> None:
    """What explains a cancelled call does not blame the target for it."""
    left = Decision("m", "in the catalogue of 'a'", ("a/x",), steps=(Step("a/x", "cancelled", seconds=1),))

    assert "failed" not in left.explain()


def test_a_frozen_trace_no_longer_changes() -> None:
    """A decision is what was known when it was made."""
    trace = Trace(asked="m", candidates=[Candidate(Target("a", "x"))])
    before = trace.freeze()
    trace.candidates.append(Candidate(Target("b", "y")))
    trace.steps.append(Step("a/x", "complete"))

    assert ("a/x",) == before.candidates
    assert () == before.steps
    assert ("a/x", "b/y") == trace.freeze().candidates


def test_callers_and_targets_name_themselves() -> None:
    """In-process callers may everything, strangers nothing, a target is provider/model."""
    assert IN_PROCESS.is_admin
    assert not ANYONE.is_admin
    assert not Caller("x").is_admin
    assert "groq/openai/gpt-oss-20b" == str(Target("groq", "openai/gpt-oss-20b"))


def test_targets_with_params_are_hashable() -> None:
    """What a retired name meant rides along without spoiling sets."""
    assert 1 == len({Target("a", "b", params={"x": {}}), Target("a", "b", params={"x": {}})})


def test_a_call_is_made_of_a_request() -> None:
    """Two calls never share a trace."""
    request = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]})
    one, other = Call(request), Call(request)

    assert "chat" == one.operation
    assert one.trace is not other.trace
    with pytest.raises(AttributeError):
        one.note = "x"  # type: ignore[attr-defined]  # slots: a typo is an error
