"""The last decisions: how many are kept, and what becomes of the file they are written to."""

from __future__ import annotations

import logging
import multiprocessing
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aigateway.state import Decisions, Journal
from aigateway.state import _decisions as module
from aigateway.types import Decision, Ended, Step, Trace

PATIENCE = 30.0


def trace(name: str, **fields: object) -> Trace:
    return Trace("m", id=name, ended=Ended("complete"), **fields)  # type: ignore[arg-type]  # fields of a trace


def read(path: Path) -> list[str]:
    return [Decision.from_json(line).id for line in path.read_bytes().splitlines()]


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def test_the_last_ones_are_kept() -> None:
    """Newest first; older ones make room; of two with one id the newer is found."""
    kept = Decisions(3)
    for name in "abcad":
        kept.add(trace(name))

    assert ["d", "a", "c"] == [decision.id for decision in kept.last(10)]
    assert ["d"] == [decision.id for decision in kept.last(1)]
    assert kept.find("a") is not None
    assert None is kept.find("b")


def test_none_are_kept_where_none_are_wanted() -> None:
    """`keep = 0` holds on to nothing."""
    off = Decisions(0)
    off.add(trace("a"))

    assert [] == list(off.last(1))


def test_what_is_kept_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few huge ones push the others out, and one that is too large alone is not kept."""
    monkeypatch.setattr(module, "BYTES", 10_000)
    kept = Decisions(1000)
    for name in "abcdefghijklmn":
        kept.add(trace(name))
    before = len(list(kept.last(100)))
    kept.add(trace("long", warnings=["x" * 20_000]))

    assert 5 < before < 14
    assert [] == list(kept.last(100))


def test_a_record_is_made_only_when_it_is_asked_for() -> None:
    """What is kept is the trace itself: what a late guard adds to it is seen."""
    kept, late = Decisions(1), trace("a")
    kept.add(late)
    late.warnings.append("late")

    assert ("late",) == next(kept.last(1)).warnings


def test_each_call_is_one_line(tmp_path: Path) -> None:
    """In the order they ended, for the owner's eyes; closing writes what is left, and it can go on after that."""
    path = tmp_path / "decisions.jsonl"
    journal = Journal(path, 10**6)
    for number in range(100):
        journal.add(trace(str(number)))
    journal.close()
    journal.add(trace("later"))
    journal.close()

    assert [*map(str, range(100)), "later"] == read(path)
    assert 0 == journal.lost
    assert os.name != "posix" or 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_key_that_was_pasted_somewhere_is_not_written(tmp_path: Path) -> None:
    """Whatever a caller took for a model's name: what looks like a key is left out."""
    journal = Journal(tmp_path / "d.jsonl", 10**6)
    journal.add(trace("a", steps=[Step("a/sk-abcdefghijklmnop", "complete")]))
    journal.close()

    assert "sk-abc" not in (tmp_path / "d.jsonl").read_text()
    assert ["a"] == read(tmp_path / "d.jsonl")


def test_a_file_that_is_full_is_renamed(tmp_path: Path) -> None:
    """Past the bound a new file begins; the one before is kept, those before it are not."""
    path = tmp_path / "d.jsonl"
    for number in range(6):
        journal = Journal(path, 1024)
        journal.add(trace(str(number), warnings=["x" * 400]))
        journal.close()

    assert ["4", "5"] == read(path)
    assert ["2", "3"] == read(tmp_path / "d.jsonl.1")


def test_a_disk_that_fails_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No place for the file: one warning, nothing raised; once it is there, the rest is written, and said to be."""
    folder = tmp_path / "gone"
    journal = Journal(folder / "d.jsonl", 10**6)
    with caplog.at_level(logging.WARNING, "aigateway.state"):
        journal.add(trace("a"))
        assert eventually(lambda: bool(journal.fault))
        journal.add(trace("b"))
        assert eventually(lambda: journal.lost == 2)
        folder.mkdir()
        journal.add(trace("c"))
        assert eventually(lambda: not journal.fault)
    journal.close()

    assert ["c"] == read(folder / "d.jsonl")
    assert ["Requests go on without", "2 are missing"] == [
        next(words for words in ("Requests go on without", "2 are missing") if words in record.message)
        for record in caplog.records
    ]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written of a line before the disk was full is taken back."""
    journal, path, real = Journal(tmp_path / "d.jsonl", 10**6), tmp_path / "d.jsonl", os.write
    journal.add(trace("a"))
    journal.close()

    def full(handle: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return real(handle, data[:20])

    monkeypatch.setattr(os, "write", full)
    journal.add(trace("b"))
    journal.close()
    monkeypatch.undo()
    journal.add(trace("c"))
    journal.close()

    assert ["a", "c"] == read(path)
    assert 1 == journal.lost


def test_too_many_for_the_disk_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is bounded: what comes beyond it is left out of the file."""
    monkeypatch.setattr("aigateway.state._journal.WAITING", 3)
    monkeypatch.setattr(Journal, "_run", lambda self: None)  # a disk that takes nothing
    journal = Journal(tmp_path / "d.jsonl", 10**6)
    for number in range(5):
        journal.add(trace(str(number)))

    assert 2 == journal.lost


def write_many(path: Path, name: str) -> None:
    journal = Journal(path, 20_000)
    for number in range(200):
        journal.add(trace(f"{name}{number}"))
    journal.close()


def test_several_workers_share_a_file(tmp_path: Path) -> None:
    """Whole lines of each, while the file is renamed now and then under them."""
    path, context = tmp_path / "d.jsonl", multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_many, args=(path, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    both = read(path) + (read(tmp_path / "d.jsonl.1") if (tmp_path / "d.jsonl.1").exists() else [])

    assert [0, 0] == [worker.exitcode for worker in workers]
    assert len(both) == len(set(both))
    assert {"a199", "b199"} & set(both)
