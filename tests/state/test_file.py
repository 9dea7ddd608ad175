"""What rests, in a file: several processes learn from each other, and no request waits for it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from aigateway.state import Document, FileMirror, Rests, of_group, of_key

KEY = of_key("p", "key-123456")
GROUP = of_group("p", "team", "m")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@contextmanager
def process(path: Path) -> Iterator[Rests]:
    """Be one process that shares the file."""
    rests, mirror = Rests(Random(0)), FileMirror(Document(path))
    rests.grace = 0.0
    mirror.start(rests)
    try:
        yield rests
    finally:
        mirror.close()


def until(condition: Callable[[], object]) -> bool:
    """Wait for something to come about."""
    end = time.monotonic() + 20
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return bool(met)


def rows(path: Path) -> list[dict[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return list(found.get("rests", []))


def put(rests: Rests, name: Any = KEY, wait: float = 60.0) -> None:
    rests.put(name, "disabled", "auth", time.monotonic(), wait=wait)


def rest(rests: Rests, name: Any = KEY) -> Any:
    return rests.find(name, time.monotonic())


def test_written_and_learned(path: Path) -> None:
    """A rest, its end and its reason reach the other process within a moment, and so does its being lifted."""
    with process(path) as one, process(path) as other:
        put(one)
        begun = time.monotonic()
        assert until(lambda: rest(other))
        assert time.monotonic() - begun < 10  # half a second, on a machine with nothing else to do
        found = rest(other)
        one.clear(KEY)
        assert until(lambda: not rest(other))

    assert ("disabled", "auth") == (found.state, found.kind)
    assert rest(one) is None
    assert 55 < found.until - begun <= 61


def test_a_restart(path: Path) -> None:
    """What was told a moment before the end is written, and known at the next start before the first request."""
    with process(path) as one:
        put(one)
        put(one, GROUP)
    with process(path) as again:
        assert None is not rest(again)
        assert None is not rest(again, GROUP)
    assert 0o600 == path.stat().st_mode & 0o777


def test_nothing_is_lost_when_both_write(path: Path) -> None:
    """What the other wrote since we looked is learned even if we write first."""
    names = [of_key("p", f"key-{number}") for number in range(40)]
    with process(path) as one, process(path) as other:
        for number, name in enumerate(names):
            put((one, other)[number % 2], name)
            time.sleep(0.002)
        assert until(lambda: all(rest(each, name) for each in (one, other) for name in names))
        assert until(lambda: len(rows(path)) == 40)


def test_what_is_over_is_dropped_but_not_forgotten(path: Path) -> None:
    """An end that has passed leaves the file; a probation in other processes goes on, for nobody lifted it."""
    with process(path) as one, process(path) as other:
        put(one, wait=2.0)
        assert until(lambda: rest(other))
        assert until(lambda: not rest(other))
        put(one, GROUP)  # which makes somebody write
        assert until(lambda: rest(other, GROUP))
        assert [list(GROUP)] == [row["name"] for row in rows(path)]

        assert other.on_probation(KEY, time.monotonic())


def test_the_later_end_counts(path: Path) -> None:
    """A shorter rest of the same name does not shorten what is written."""
    with process(path) as one:
        put(one, wait=500.0)
        assert until(lambda: rows(path))
    with process(path) as other:
        other._rests.clear()  # as if it had found out at the same moment
        other._heard.clear()
        put(other, wait=5.0)
        put(other, GROUP)
        assert until(lambda: len(rows(path)) == 2)

    assert max(row["until"] for row in rows(path)) > time.time() + 400


def test_deleted_by_a_person(path: Path) -> None:
    """Who deletes the file lifts what it said, in every process."""
    with process(path) as one, process(path) as other:
        put(one)
        assert until(lambda: rest(other))
        path.unlink()
        assert until(lambda: not rest(other))
        assert until(lambda: not rest(one))


NONSENSE = [
    "", "{", "[]", "7", "null", '{"rests": 7}', '{"rests": [7, null, [], {}]}', "\x00", "\xff", '{"rests":' * 9999,
    '{"rests": [{"name": ["key", "p"], "until": 1e999, "state": "disabled", "kind": "x", "times": 1, "proofs": 1}]}',
    '{"rests": [{"name": ["key", "p", "k"], "until": 9e9, "state": [], "kind": "x", "times": 1, "proofs": 1}]}',
    '{"rests": [{"name": 7, "until": 9e9, "state": "disabled", "kind": "x", "times": 1, "proofs": 1}]}',
    '{"rests": [{"name": ["key"], "until": 9e9, "state": "asleep", "kind": "x", "times": 1, "proofs": 1}]}',
    '{"rests": [{"name": ["key"], "until": 9e9, "state": "disabled", "kind": "x", "times": -1, "proofs": 1e99}]}',
]  # fmt: skip  # a table


@pytest.mark.parametrize("text", NONSENSE, ids=[str(number) for number in range(len(NONSENSE))])
def test_nonsense(path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever stands in the file, it stops nothing, is said at most once, and is not overwritten if it is not ours."""
    path.write_text(text, encoding="latin-1")
    with process(path) as one:
        assert rest(one) is None
        put(one)
        assert None is not rest(one)
        time.sleep(0.6)  # one more look
        assert any(thread.name == "aigateway-state" for thread in threading.enumerate())
    lines = [record for record in caplog.records if record.name == "aigateway.state"]

    if path.read_text(encoding="latin-1") == text:
        assert 1 == len(lines)
        assert str(path) in lines[0].getMessage()
    else:
        assert [list(KEY)] == [row["name"] for row in rows(path)]


def test_mended(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that can be used again is: what could not be written meanwhile is, and the next fault is said anew."""
    path.write_text("{", encoding="utf-8")
    with caplog.at_level(logging.WARNING), process(path) as one:
        put(one)
        time.sleep(0.6)
        path.unlink()
        assert until(lambda: rows(path))
        path.write_text("{", encoding="utf-8")
        assert until(lambda: sum(record.name == "aigateway.state" for record in caplog.records) == 2)


def test_a_write_that_fails_is_made_up_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full for a moment loses nothing."""
    replace = os.replace
    failures: list[Any] = []

    def full(*args: Any) -> None:
        if len(failures) < 2:
            failures.append(args)
            raise OSError(28, "No space left on device")
        replace(*args)

    monkeypatch.setattr(os, "replace", full)
    with process(path) as one:
        put(one)
        put(one, GROUP)
        assert until(lambda: len(rows(path)) == 2)

    assert 2 == len(failures)
    assert ["state.json", ".state.json.lock"] == sorted((p.name for p in path.parent.iterdir()), reverse=True)


def test_no_request_waits(path: Path) -> None:
    """While somebody else holds the lock, rests are put and found at once."""
    code = "import fcntl,sys,time; f=open(sys.argv[1],'a'); fcntl.flock(f,2); print('held',flush=True); time.sleep(60)"
    lock = path.with_name(f".{path.name}.lock")
    with ExitStack() as stack:
        holder = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(holder.kill)
        assert holder.stdout is not None
        assert "held" in holder.stdout.readline()
        one = stack.enter_context(process(path))
        begun = time.monotonic()
        for number in range(1000):
            put(one, of_key("p", f"key-{number}"))
            assert rest(one, of_key("p", f"key-{number}"))
        took = time.monotonic() - begun
        holder.kill()
        assert until(lambda: len(rows(path)) == 1000)

    assert took < 5.0


def test_killed_while_it_writes(path: Path) -> None:
    """A process that is killed at any moment leaves a whole file."""
    code = (
        "import sys,time; from random import Random; from pathlib import Path;"
        "from aigateway.state import Document, FileMirror, Rests, of_key;"
        "r=Rests(Random(0)); m=FileMirror(Document(Path(sys.argv[1]))); m.start(r); n=0\n"
        "while True:\n n+=1; r.put(of_key('p',f'key-{n % 500}'),'disabled','auth',time.monotonic(),wait=60.0+n)"
        "; time.sleep(0.0005)"
    )
    for moment in (0.02, 0.05, 0.11):
        with subprocess.Popen([sys.executable, "-c", code, str(path)]) as writer:
            assert until(path.exists)
            time.sleep(moment)
            writer.kill()
        assert rows(path)
    with process(path) as one:
        put(one)
        assert until(lambda: list(KEY) in [row["name"] for row in rows(path)])


def test_a_clock_that_was_wrong_rests_nobody_for_years(path: Path) -> None:
    """Written in 2096 by a clock that is mended since: nobody rests for it, and the next rest replaces it."""
    wall = time.time()

    def processes(now: float) -> tuple[Rests, FileMirror]:
        rests, mirror = Rests(Random(0)), FileMirror(Document(path), wall=lambda: now)
        mirror.start(rests)
        return rests, mirror

    rests, mirror = processes(4_000_000_000.0)
    put(rests)
    put(rests, GROUP)
    mirror.close()
    assert all(row["until"] > 3_999_999_999 for row in rows(path))
    rests, mirror = processes(wall)

    assert rest(rests) is None
    put(rests)
    mirror.close()
    assert [list(KEY)] == [row["name"] for row in rows(path)]
    assert 0 < rows(path)[0]["until"] - wall <= 61


def test_begun_twice_and_ended_unbegun(path: Path) -> None:
    """Two gateways on one mirror begin it once; ending what never began does nothing."""
    rests, mirror = Rests(Random(0)), FileMirror(Document(path))
    mirror.close()
    mirror.start(rests)
    before = mirror._thread
    mirror.start(rests)
    try:
        assert before is mirror._thread
        put(rests)
        assert rests.claim(KEY, time.monotonic() + 61)  # lasts for moments, and is no other process's business
        assert until(lambda: rows(path))
    finally:
        mirror.close()

    assert [list(KEY)] == [row["name"] for row in rows(path)]
    assert "" == mirror.fault()
