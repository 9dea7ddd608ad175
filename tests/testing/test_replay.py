"""Replay: recorded traffic again, under the same configuration as it was, under another as it would have been."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import Any

import pytest

from aigateway import Gateway
from aigateway.errors import ConfigurationError
from aigateway.testing.simulator import Question, difference_of, play, read_records, read_scenario, replay
from aigateway.testing.simulator._seen import Seen
from aigateway.types import Cost, Decision, Ended, Step, Usage

DEEPSEEK, OPENAI, GROQ = "deepseek/deepseek-flash", "openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b"
BUSY = """
[providers.deepseek]
keys = [{ secret = "env:NONE" }, { secret = "env:NONE", quota_group = "two" }]
[providers.openai]
keys = [{ secret = "env:NONE" }]
[providers.groq]
keys = [{ secret = "env:NONE" }]
"""
ROUTE = '[routes.smart]\ntargets = ["deepseek/deepseek-flash", "openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b"]\n'
HARD: dict[str, Any] = {
    "seed": 4,
    "duration": 12,
    "arrivals": {"rate": 15},
    "request": {"model": "smart", "leave": {"share": 0.1, "after": {"median": 1, "p95": 4}}},
    "vendors": {
        "deepseek": {
            "requests_per_minute": 90,
            "faults": [
                {"kind": "error", "share": 0.2},
                {"kind": "cut", "share": 0.1},
                {"kind": "down", "at": 5.0, "until": 8.0},
            ],
        },
        "openai": {"faults": [{"kind": "error_event", "share": 0.3}, {"kind": "hang", "share": 0.02}]},
        "groq": {},
    },
}  # fmt: skip  # one scenario


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """What rests is no news here."""
    logger = logging.getLogger("aigateway")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


def configuration(folder: Path, text: str, name: str = "aigateway.toml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def recorded(folder: Path, config: Path, scenario: dict[str, Any]) -> Path:
    """Play a scenario, and keep its decisions as a gateway would."""
    played = play(read_scenario({**scenario, "config": str(config)}))
    path = folder / "decisions.jsonl"
    path.write_text("".join(f"{asked.decision.to_json()}\n" for asked in played.asked if asked.decision))
    return path


def written(folder: Path, *decisions: Decision) -> Path:
    (folder / "decisions.jsonl").write_text("".join(f"{decision.to_json()}\n" for decision in decisions))
    return folder / "decisions.jsonl"


def served(at: float, target: str = OPENAI, seconds: float = 1.0, **fields: Any) -> Decision:
    usage = Usage(200, 60, source="reported")
    step = Step(target, "complete", seconds=seconds, billed="yes", usage=usage, cost=Cost(420_000_000, "priced"))
    ended = Ended("complete", seconds, seconds)
    return Decision("smart", at=1_790_000_000 + at, steps=(step,), ended=ended, timeout=60.0, **fields)


# -- the same again ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "route",
    ["", "hedge = { quantile = 0.9, extra = 0.1 }", 'policy = "weighted"\nrecovery = "buffer"', 'policy = "fastest"'],
    ids=["plain", "hedge", "weighted-buffer", "fastest"],
)
def test_the_same_configuration_gives_the_same(tmp_path: Path, route: str) -> None:
    """Limits, outages, broken streams, clients who leave: served, failed, calls and cost are those of the record."""
    config = configuration(tmp_path, BUSY + ROUTE + route)
    records = read_records(recorded(tmp_path, config, HARD))
    report = difference_of(replay(records, config))

    assert report["recorded"] == report["replayed"]
    assert {0, "0"} == {value for value in report["difference"].values() if value != 0.0} | {0, "0"}
    assert report["recorded"]["served"] > 80
    assert report["recorded"]["cancelled"] > 0
    assert sum(report["recorded"]["interrupted"].values()) > 0 or "buffer" in route
    assert [] == report["notes"]


async def ask(config: Path, count: int) -> None:
    async with Gateway.from_config(config) as gateway:
        for number in range(count):
            await gateway.chat("smart", f"hello {number}")


@pytest.mark.anyio
async def test_what_a_gateway_writes_can_be_replayed(tmp_path: Path) -> None:
    """The file of a running gateway, not of a simulation."""
    config = configuration(
        tmp_path, '[providers.echo]\n[routes.smart]\ntargets = ["echo/echo"]\n[decisions]\nfile = "decisions.jsonl"\n'
    )
    await ask(config, 5)
    records = read_records(tmp_path / "decisions.jsonl")

    assert 5 == len(records.decisions)
    assert {"complete"} == {decision.ended.state for decision in records.decisions}
    assert "hello" not in (tmp_path / "decisions.jsonl").read_text()


def test_a_replay_is_no_record(tmp_path: Path) -> None:
    """Under a configuration that keeps a file of decisions, what is played again is not written into it."""
    busy = BUSY + f'[routes.smart]\ntargets = ["{GROQ}"]\n[decisions]\nfile = "decisions.jsonl"\n'
    config = configuration(tmp_path, busy)
    record = written(tmp_path, *(served(number, GROQ) for number in range(3)))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replay(read_records(record), config)

    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


# -- another configuration ----------------------------------------------------------------------


def test_another_target_would_have_cost_less(tmp_path: Path) -> None:
    """To the last unit: the catalogue's price of the other target for the same tokens, and what that is less."""
    config = configuration(tmp_path, BUSY + f'[routes.smart]\ntargets = ["{GROQ}"]\n')
    seen = [served(number, GROQ if number % 2 else OPENAI) for number in range(10)]
    report = difference_of(replay(read_records(written(tmp_path, *seen)), config))
    one = Decimal(200) * Decimal("0.15") / 10**6 + Decimal(60) * Decimal("0.60") / 10**6

    assert Decimal("0.0042") == Decimal(report["recorded"]["dollars"])
    assert 10 * one == Decimal(report["replayed"]["dollars"])
    assert 10 * one - Decimal("0.0042") == Decimal(report["difference"]["dollars"])
    assert {GROQ: 10} == report["replayed"]["calls_to"]
    assert 5 == report["difference"]["answered_by_another"]


def test_an_outage_hits_who_relies_on_it(tmp_path: Path) -> None:
    """Who was down in the record is down at the same time for who asks nobody else."""
    first = configuration(tmp_path, BUSY + ROUTE)
    down = {"kind": "down", "at": 10.0, "until": 20.0}
    scenario = {"duration": 30, "arrivals": {"rate": 5, "spacing": "even"}, "request": {"model": "smart"}}
    source = recorded(tmp_path, first, {**scenario, "vendors": {"deepseek": {"faults": [down]}}})
    alone = configuration(tmp_path, BUSY + f'[routes.smart]\ntargets = ["{DEEPSEEK}"]\n', "alone.toml")
    report = difference_of(replay(read_records(source), alone))

    assert {} == report["recorded"]["failed"]  # but for streams that were open when it went down
    assert 145 <= report["recorded"]["served"] <= 150
    assert 45 <= sum(report["replayed"]["failed"].values()) <= 80  # it rests for a while beyond the outage
    assert report["difference"]["no_longer_served"] >= sum(report["replayed"]["failed"].values())


def test_who_was_never_seen_is_guessed_and_said_to_be(tmp_path: Path) -> None:
    """The median time of the others, the catalogue's price, and a note."""
    config = configuration(tmp_path, BUSY + f'[routes.smart]\ntargets = ["{GROQ}"]\n')
    records = read_records(written(tmp_path, *(served(number, seconds=2.0) for number in range(5))))
    report = difference_of(replay(records, config))

    assert [f"{GROQ} is not in the record"] == [note.partition(":")[0] for note in report["notes"]]
    assert 2.0 <= report["replayed"]["seconds"]["p50"] <= 3.0
    assert Decimal(report["replayed"]["dollars"]) > 0


def test_what_was_asked_is_asked_again(tmp_path: Path) -> None:
    """Caller, routing and stream of each request count again."""
    config = configuration(tmp_path, BUSY + ROUTE)
    asked = [served(0, routing={"only": ["groq"]}), served(1, stream=True, caller="editor"), served(2, GROQ)]
    report = replay(read_records(written(tmp_path, *asked)), config)

    assert [(GROQ,), (DEEPSEEK,), (DEEPSEEK,)] == [d.candidates[:1] for d in report.replayed]
    assert [("in-process", False), ("editor", True), ("in-process", False)] == [
        (decision.caller, decision.stream) for decision in report.replayed
    ]
    assert [0.0, 1.0, 2.0] == pytest.approx([d.at - report.recorded[0].at for d in report.replayed], abs=0.01)


# -- how targets behave ---------------------------------------------------------------------------


def question(number: int, tokens: int = 60) -> Question:
    return Question(number, 0.0, "smart", False, 200, tokens)


def test_a_call_goes_as_it_went_and_another_as_the_nearest() -> None:
    """Own calls in their order; then whoever was asked nearest in time; what a caller did wrong is nobody's way."""
    first = Step(OPENAI, "rate_limit", seconds=0.1, retry_after=7.0)
    steps = (first, Step(OPENAI, "overloaded", start=1.0, seconds=0.2))
    bad = Step(OPENAI, "bad_request", seconds=0.1)
    seen = Seen([served(0), Decision(at=1_790_000_010, steps=steps), Decision(at=1_790_000_020, steps=(bad,))])
    own = [seen.turn(OPENAI, question(2), 11.0) for _ in range(3)]

    assert ["rate_limit", "overloaded", "overloaded"] == [turn.outcome for turn in own]
    assert 7.0 == own[0].retry_after
    assert "complete" == seen.turn(OPENAI, question(9), 4.0).outcome
    assert "overloaded" == seen.turn(OPENAI, question(9), 400.0).outcome
    assert "bad_request" == seen.turn(OPENAI, question(3), 20.0).outcome


def test_longer_answers_take_longer() -> None:
    """In proportion to their tokens, within reason."""
    seen = Seen([served(0, seconds=2.0)])

    assert 4.0 == pytest.approx(seen.turn(OPENAI, question(9, 120), 0.0).seconds, rel=0.01)
    assert 20.0 == pytest.approx(seen.turn(OPENAI, question(9, 60_000), 0.0).seconds, rel=0.01)


def test_who_was_given_up_took_longer() -> None:
    """A client who left saw no end: the answer would have come later than that."""
    seen = Seen([served(0), Decision(at=1_790_000_001, steps=(Step(OPENAI, "cancelled", seconds=9.0),))])
    turn = seen.turn(OPENAI, question(2), 1.0)

    assert turn.seconds > 9.0
    assert turn.first is None or turn.first > 9.0


def test_our_own_time_limits_are_found_again_and_a_vendors_are_not() -> None:
    """A call that ran into our limit hangs; one the vendor gave up ends when it did."""
    ours = Step(OPENAI, "timeout", seconds=60.0, reason="no first content within 60 s")
    theirs = Step(OPENAI, "timeout", seconds=30.0, reason="status 504")
    seen = Seen([Decision(at=1.0, steps=(ours,)), Decision(at=2.0, steps=(theirs,))])

    assert [inf, 30.0] == [seen.turn(OPENAI, question(number), 0.0).seconds for number in (1, 2)]


# -- files --------------------------------------------------------------------------------------


def test_what_cannot_be_replayed_is_left_out_and_counted(tmp_path: Path) -> None:
    """Half a line, a dry run, what a cache answered, images: named in the report, the rest is played."""
    guard = Step("guard/m", "complete", role="guard")
    path = written(
        tmp_path,
        served(1),
        Decision("smart", ended=Ended("dry")),
        Decision("smart", steps=(guard,), ended=Ended("complete")),
        Decision("m", operation="images", ended=Ended("complete")),
    )
    path.write_bytes(path.read_bytes() + b'{"version":1,"asked":"sm\n\n')
    report = difference_of(replay(read_records(path), configuration(tmp_path, BUSY + ROUTE)))

    assert 1 == report["requests"]
    assert [
        "left out: 1 (answered by a guard, such as a cache)",
        "left out: 1 (images cannot be simulated)",
        "left out: 2 (no decision record)",
        "left out: 1 (not a call that ended)",
    ] == [note for note in report["notes"] if note.startswith("left out")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"version":1,"asked":"a"}\n{"version":7}\n', "decisions.jsonl, line 2: this decision record is of version 7"),
        ("", "the record decisions.jsonl holds no decision that can be replayed."),
        ("nonsense\n", "Left out: no decision record"),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """With the line, or with why nothing is left."""
    (tmp_path / "decisions.jsonl").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_records(tmp_path / "decisions.jsonl")

    assert why in caught.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """One line, with the reason."""
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_records(tmp_path / "none.jsonl")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aigateway", "simulate", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**os.environ}, timeout=120)


def test_the_command(tmp_path: Path) -> None:
    """A table, or JSON; the nearest configuration unless another is named; one of scenario and replay, not both."""
    configuration(tmp_path, BUSY + f'[routes.smart]\ntargets = ["{GROQ}"]\n')
    written(tmp_path, *(served(number) for number in range(3)))
    table = run(tmp_path, "--replay", "decisions.jsonl")
    data = run(tmp_path, "--replay", "decisions.jsonl", "--config", "aigateway.toml", "--json")
    wrong = [run(tmp_path), run(tmp_path, "scenario.toml", "--replay", "decisions.jsonl")]

    assert (0, "") == (table.returncode, table.stderr)
    assert "3 are answered by another target." in table.stdout
    assert "It would have cost $0.001062 less." in table.stdout
    assert 3 == json.loads(data.stdout)["replayed"]["served"]
    assert [2, 2] == [done.returncode for done in wrong]


@pytest.mark.parametrize("at", ["1e300", "-1e9", "NaN"])
def test_a_record_of_no_time_is_left_out(at: str, tmp_path: Path) -> None:
    """Nobody can begin a clock there."""
    fine = Decision("smart", at=1_790_000_000.0, ended=Ended("complete", 1.0)).to_json()
    source = tmp_path / "decisions.jsonl"
    source.write_text('{"version":1,"asked":"smart","at":' + at + ',"ended":{"state":"complete"}}\n' + fine)
    records = read_records(source)

    assert (1, {"not of any time": 1}) == (len(records.decisions), dict(records.left_out))
