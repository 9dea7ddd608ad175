"""The survival figures: their judges notice what they are there to notice, and the quick form keeps every bound."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from benchmarks.survival.asking import Answer, Question, read_answer, wrong_characters
from benchmarks.survival.books import booked_wrong
from benchmarks.survival.breaks import Broken
from benchmarks.survival.crossing import Tally
from benchmarks.survival.mid_stream import Story, judge
from benchmarks.survival.report import counted, table
from benchmarks.survival.vendor import Script
from benchmarks.survival.wire import text_of

ROOT = Path(__file__).parent.parent
EVENTS = "text/event-stream"
OWN = "N0123456789abcdefN"


def said(*deltas: dict[str, Any], finish: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish} for delta in deltas]
    return b"".join(b"data: " + json.dumps({"model": "m", "choices": [each]}).encode() + b"\n\n" for each in choices)


ROLE, TEXT, STOP = said({"role": "assistant"}), said({"content": "hi"}), said({}, finish="stop")
USAGE = b'data: {"choices": [], "usage": {"total_tokens": 1}}\n\n'
DONE, ERROR = b"data: [DONE]\n\n", b'data: {"error": {"code": "stream_interrupted"}}\n\n'


@pytest.mark.parametrize(
    ("body", "whole", "ended"),
    [
        (ROLE + TEXT + STOP + DONE, True, "complete"),
        (ROLE + TEXT + STOP, True, "cut"),
        (ROLE + TEXT + DONE, True, "cut"),
        (ROLE + TEXT + STOP + DONE, False, "cut"),
        (ROLE + TEXT + ERROR, True, "error"),
        (ROLE + TEXT + ERROR + DONE, True, "cut"),
        (ROLE + b"data: {\n\n" + STOP + DONE, True, "cut"),
    ],
)
def test_what_a_client_makes_of_a_stream(body: bytes, whole: bool, ended: str) -> None:
    """Only a finish reason, the end marker and the end of the body together are a complete answer."""
    assert ended == read_answer(200, EVENTS, body, whole=whole).ended


def test_a_second_role_is_noticed() -> None:
    """An answer that begins twice is not a whole one."""
    answer = read_answer(200, EVENTS, ROLE + TEXT + ROLE + TEXT + STOP + USAGE + DONE, whole=True)

    assert "complete" == answer.ended
    assert not answer.is_whole


@pytest.mark.parametrize(("got", "wrong"), [("abc", 0), ("ab", 1), ("abbc", 2), ("", 3), ("xbc", 3)])
def test_characters_doubled_or_lost_are_counted(got: str, wrong: int) -> None:
    """Whatever is not what and where it should be counts."""
    assert wrong == wrong_characters("abc", got)


@pytest.mark.parametrize(
    ("mode", "text", "ended", "kept"),
    [
        ("terminate", "said", "error", True),
        ("terminate", "said", "complete", False),
        ("terminate", "said", "cut", False),
        ("terminate", "sai", "error", False),
        ("terminate", "saidd", "error", False),
        ("buffer", "said", "error", False),
        ("buffer", "WELL", "complete", True),
        ("continue", "FIRST", "complete", True),
        ("continue", "said", "error", False),
    ],
)
def test_answers_are_judged_by_what_the_route_promises(mode: str, text: str, ended: Any, kept: bool) -> None:
    """A cut answer passed off as whole, a character too many or too few, a missing error: all are noticed."""
    question = Question("route", nonce=OWN)
    words = {"WELL": text_of(OWN, "well"), "FIRST": text_of(OWN, "first")}
    answer = Answer(ended, 200, words.get(text, text), roles=1, usages=1)
    story = Story(mode, "end", [Broken(Script([]), "said", arrives=True)], sent=True)

    verdict = judge(answer, question, story)

    assert kept == (not verdict.complaint)
    assert bool(verdict.wrong) <= (not kept)


@pytest.mark.parametrize(
    ("given", "steps", "booked", "right"),
    [
        ("complete", ["server_error", "complete"], "complete", True),
        ("complete", ["complete", "complete"], "complete", False),
        ("complete", ["complete"], "complete", False),
        ("error", ["stream_interrupted"], "interrupted", True),
        ("error", ["complete"], "complete", False),
        ("cut", ["stream_interrupted"], "complete", False),
        ("left", ["cancelled"], "cancelled", True),
        ("left", ["cancelled"], "failed", False),
    ],
)
def test_books_that_are_wrong_are_noticed(given: str, steps: list[str], booked: str, right: bool) -> None:
    """A call that broke has to be booked as broken, and an answer as what the client was given."""
    assert right == (not booked_wrong(given, steps, booked, broke=1))


def test_a_foreign_nonce_is_noticed() -> None:
    """One chunk of another request is enough."""
    tally, question = Tally(1), Question("route", nonce=OWN)
    tally.take(question, f"{OWN} {OWN}")
    assert not tally.crossed

    tally.take(question, f"{OWN} N00000000000000ffN")
    assert 1 == len(tally.crossed)


@pytest.mark.parametrize(("faults", "word"), [([], "kept"), (["torn", "torn"], "MISSED")])
def test_the_table_says_what_was_missed(faults: Sequence[str], word: str) -> None:
    """A single fault misses the bound, and its case is printed."""
    row = counted("figure", "serve", faults, 10)

    assert row.kept == (not faults)
    assert word in table([row])
    assert ("2 x torn" in table([row])) == bool(faults)


@pytest.mark.alone("its bounds are kept by timers of fractions of a second")
def test_the_quick_form_keeps_every_bound() -> None:
    """Few of everything, over real sockets, through a served gateway and both doors; times are shown, not judged."""
    command = [sys.executable, "-m", "benchmarks.survival", "--quick"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)

    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert "MISSED" not in ran.stdout
