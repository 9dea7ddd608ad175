"""The record of a decision: lossless in JSON, strict when read, without anything that must not be in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import REMEDIES, RequestError
from aigateway.secrets import without_keys
from aigateway.types import (
    Candidate,
    Considered,
    Cost,
    Decision,
    Drop,
    Ended,
    Facts,
    Routing,
    Step,
    Target,
    Trace,
    Usage,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
COUNT = st.integers(0, 10**30)
JSON = st.recursive(st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
USAGE = st.builds(
    Usage, COUNT, COUNT, COUNT, COUNT, COUNT, source=st.sampled_from(["reported", "estimated", "unknown"])
)
COST = st.builds(Cost, st.none() | COUNT, st.sampled_from(["reported", "priced", "estimated", "unknown"]))
STEP = st.builds(
    Step,
    *(TEXT, TEXT, TEXT, NUMBER, NUMBER, NUMBER, TEXT, st.sampled_from(["no", "maybe", "yes"]), st.none() | USAGE, COST),
    st.sampled_from(["", "hedge", "continue", "knock", "shadow"]),
    st.none() | NUMBER,
    st.none() | NUMBER,
    st.none() | st.sampled_from([*REMEDIES.values()]),
)
ENDED = st.builds(Ended, st.sampled_from(["dry", "complete", "failed"]), NUMBER, st.none() | NUMBER, COUNT, TEXT)
CONSIDERED = st.builds(Considered, TEXT, COUNT, COUNT, COUNT, COUNT, NUMBER, st.none() | COUNT)


def tuples(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=3).map(tuple)


DECISION = st.builds(
    Decision,
    asked=TEXT,
    resolved=TEXT,
    candidates=tuples(TEXT),
    dropped=tuples(st.builds(Drop, TEXT, TEXT, TEXT)),
    steps=tuples(STEP),
    warnings=tuples(TEXT),
    notes=tuples(TEXT),
    id=TEXT,
    at=NUMBER,
    operation=TEXT,
    stream=st.booleans(),
    caller=TEXT,
    timeout=NUMBER,
    estimate=st.none() | USAGE,
    routing=st.dictionaries(TEXT, JSON, max_size=3),
    policies=tuples(TEXT),
    considered=tuples(CONSIDERED),
    seed=st.none() | COUNT,
    ended=ENDED,
)


@given(DECISION)
def test_nothing_is_lost(decision: Decision) -> None:
    """Written and read it is the same, to the last unit; the line is one line of ASCII."""
    line = decision.to_json()

    assert decision == Decision.from_json(line) == Decision.from_json(line.encode())
    assert line.isascii()
    assert line.isprintable()


@given(DECISION)
def test_any_decision_can_be_told(decision: Decision) -> None:
    """Whatever is in it, there are sentences."""
    assert decision.explain()


def test_what_has_its_default_takes_no_room() -> None:
    """A line is as long as what there is to say."""
    step = Step("a/x", "complete", usage=Usage(3, 2, source="reported"), cost=Cost(7, "priced"))

    assert {"version": 1} == json.loads(Decision().to_json())
    assert {
        "version": 1,
        "asked": "m",
        "steps": [
            {
                "target": "a/x",
                "outcome": "complete",
                "usage": {"input": 3, "output": 2, "source": "reported"},
                "cost": {"amount": 7, "source": "priced"},
            }
        ],
    } == json.loads(Decision("m", steps=(step,)).to_json())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[1]", "it has no version"),
        ('{"asked": "m"}', "it has no version"),
        ('{"version": "1"}', "it has no version"),
        ('{"version": 2}', "this decision record is of version 2; this aigateway reads version 1"),
        ('{"version": 1, "stream": "yes"}', "stream: "),
        ('{"version": 1, "steps": [{"target": "a/x"}]}', "steps.0.outcome: "),
        ('{"version": 1, "steps": [{"target": "a/x", "outcome": "complete", "secret": 1}]}', "steps.0.secret: "),
        ('{"version": 1, "ended": {"state": "sk-live-0123456789"}}', "ended.state: "),
    ],
)
def test_another_record_is_refused(line: str, why: str) -> None:
    """Another version, or something else: refused with what is wrong, and without repeating it."""
    with pytest.raises(RequestError) as caught:
        Decision.from_json(line)

    assert why in caught.value.message
    assert "sk-live" not in caught.value.message


def test_half_a_character_does_not_break_the_line() -> None:
    """What no file can hold becomes a question mark."""
    assert "?" == Decision.from_json(Decision("\ud800").to_json()).asked


def test_keys_can_be_taken_out_of_every_text() -> None:
    """A key a caller pasted where a name belongs stands in no file; the JSON stays whole."""
    key = "sk-abcdefghijklmnop"
    decision = Decision(f"Bearer {key}", candidates=(key,), routing={key: [key]}, id="1")
    line = decision.to_json(without_keys)

    assert key not in line
    assert Decision("***", candidates=("***",), routing={"***": ["***"]}, id="1") == Decision.from_json(line)


def test_a_trace_freezes_to_what_it_saw() -> None:
    """What a policy saw is kept only where it looked; a caller's routing as it was sent, unless it is too long."""
    plain = Trace("m", candidates=[Candidate(Target("a", "x"))], routing=Routing(only=("a",)))
    seen = Trace("m", candidates=[Candidate(Target("a", "x", 2), None, 3, Facts(1, failing=2, first_content=0.5), 7)])
    long = Trace("m", routing=Routing(only=("a" * 5000,)))

    assert ({"only": ["a"]}, ()) == (plain.freeze().routing, plain.freeze().considered)
    assert (Considered("a/x", 2, 3, 1, 2, 0.5, 7),) == seen.freeze().considered
    assert {} == long.freeze().routing
    assert ("the request's routing was too long to be recorded",) == long.freeze().warnings
    assert long.size > 5000 > plain.size


def test_no_terminal_obeys_the_sentences() -> None:
    """Callers choose the names of models; each sentence stays one line."""
    told = Decision("x\x1b[2J", "pinned", ("a/\x1b[2J\nroot",), ended=Ended("dry")).explain()

    assert all(line.isprintable() for line in told.splitlines())
    assert "a/\\x1b[2J\\nroot would be asked first" in told


def test_a_little_is_not_nothing() -> None:
    """What is too little to be shown is said to be little."""
    assert ["$0.000000", "less than $0.000001", "$0.000001", "$0.150000", "an unknown amount"] == [
        Cost(amount).shown for amount in (0, 1, 500_001, 150_000_000_000, None)
    ]


@pytest.mark.parametrize(
    ("state", "steps", "shown"),
    [
        ("failed", (), 0),
        ("failed", (Step("a/m", "overloaded"),), 0),
        ("failed", (Step("a/m", "timeout", billed="maybe"),), None),
        ("dry", (), None),
        ("open", (), None),
    ],
    ids=["nobody was asked", "nobody counted it", "somebody may have", "a dry run", "under way"],
)
def test_what_nobody_was_asked_for_cost_nothing(state: Any, steps: tuple[Step, ...], shown: int | None) -> None:
    """And that is known; what a vendor may have counted is not, nor what has not been asked yet."""
    cost = Decision(steps=steps, ended=Ended(state)).cost

    assert (shown, "unknown" if shown is None else "priced") == (cost.amount, cost.source)
