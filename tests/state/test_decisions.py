"""The last decisions: how many are kept, and what becomes of the file they are written to."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from aigateway.errors import RequestError
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


def journaled(path: Path, *names: str, most: int = 10**6) -> Journal:
    """Write records, and close."""
    journal = Journal(path, most)
    for name in names:
        journal.add(trace(name))
    journal.close()
    return journal


def ids(path: Path) -> list[str]:
    """Read what a reader reads: lines that are no record are left out."""
    found = []
    for line in path.read_bytes().splitlines():
        with suppress(RequestError):
            found.append(Decision.from_json(line).id)
    return found


def test_half_a_line_of_a_crash_swallows_no_other(tmp_path: Path) -> None:
    """Whoever died in the midst of a line leaves it half; what is written next begins on a line of its own."""
    path = tmp_path / "d.jsonl"
    journaled(path, "a", "b")
    path.write_bytes(path.read_bytes()[:-30])
    journal = journaled(path, "c", "d")

    assert ["a", "c", "d"] == ids(path)
    assert 4 == len(path.read_bytes().splitlines())
    assert 0 == journal.lost


@pytest.mark.parametrize("what", ["removed", "renamed", "emptied", "cut", "folder removed"])
def test_what_others_do_to_the_file_loses_nothing_new(what: str, tmp_path: Path) -> None:
    """Tools that rotate logs remove, rename, empty or cut it while we run: the next record is whole."""
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "d.jsonl"
    journal = Journal(path, 10**6)
    journal.add(trace("a"))
    assert eventually(lambda: path.exists() and ["a"] == ids(path))
    if what == "removed":
        path.unlink()
    elif what == "renamed":
        path.rename(folder / "d.jsonl-20261101")
    elif what == "emptied":
        os.truncate(path, 0)
    elif what == "cut":
        os.truncate(path, path.stat().st_size - 7)
    else:
        shutil.rmtree(folder)
        folder.mkdir()
    journal.add(trace("b"))
    journal.close()

    assert ["b"] == ids(path)
    assert (0, "") == (journal.lost, journal.fault)


def test_a_file_that_is_empty_pushes_out_no_other(tmp_path: Path) -> None:
    """A record that alone is past the bound does not put an empty file in the place of the one before."""
    path = tmp_path / "d.jsonl"
    (tmp_path / "d.jsonl.1").write_text("kept")
    path.touch()
    journaled(path, "a", most=10)

    assert "kept" == (tmp_path / "d.jsonl.1").read_text()
    assert ["a"] == read(path)


def fill(path: Path) -> None:
    """Write into a file that may not grow beyond some bytes, which is what a full disk is like."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
    logging.basicConfig(filename=path.with_name("log"), format="%(message)s")
    for number in range(20):
        journal = Journal(path, 10**6)
        journal.add(trace(str(number), warnings=["x" * 500]))
        journal.close()
    journal = Journal(path, 10**6)
    for number in range(20, 30):
        journal.add(trace(str(number), warnings=["x" * 500]))
        journal._step()
    path.with_name("lost").write_text(str(journal.lost))


@pytest.mark.skipif(os.name != "posix", reason="bounds of a process are POSIX's")
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """Whole lines only, as many as fit; the others are counted, and the log says it once."""
    path = tmp_path / "d.jsonl"
    process = multiprocessing.get_context("spawn").Process(target=fill, args=(path,))
    process.start()
    process.join(PATIENCE)
    kept = read(path)

    assert 0 == process.exitcode
    assert 1 < len(kept) < 20
    assert list(map(str, range(len(kept)))) == kept
    assert "10" == (tmp_path / "lost").read_text()
    told = (tmp_path / "log").read_text().splitlines()
    assert 20 - len(kept) + 1 == len(told)  # each journal says it once
    assert all("decisions cannot be written to" in line and "File too large" in line for line in told)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
def test_a_place_that_cannot_be_cut_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is said is why it could not be written, not why it could not be taken back."""
    link = tmp_path / "d.jsonl"
    link.symlink_to("/dev/full")
    with caplog.at_level(logging.WARNING, "aigateway.state"):
        assert 1 == journaled(link, "a").lost

    assert ["No space left on device"] == [r.message.split(": ")[1].split(".")[0] for r in caplog.records]


def test_nothing_ends_the_thread(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not even a path no system takes: one line, and the next record is tried again."""
    journal = Journal(tmp_path / "a\0b", 10**6)
    with caplog.at_level(logging.WARNING, "aigateway.state"):
        journal.add(trace("a"))
        assert eventually(lambda: journal.lost == 1)
        journal.add(trace("b"))
        assert eventually(lambda: journal.lost == 2)
        journal.path = tmp_path / "d.jsonl"
        journal.add(trace("c"))
        journal.close()

    assert ["c"] == read(tmp_path / "d.jsonl")
    assert 2 == len(caplog.records)


def write_until_killed(path: Path, name: str) -> None:
    journal = Journal(path, 10**9)
    for number in range(1_000_000):
        journal.add(trace(f"{name}-{number}", warnings=["x" * 3000]))
        journal._step()


def test_workers_that_are_killed_tear_no_line_of_another(tmp_path: Path) -> None:
    """However often one dies in the midst of writing, what others write is whole."""
    path, context = tmp_path / "d.jsonl", multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_until_killed, args=(path, name)) for name in "abc"]
    for worker in workers:
        worker.start()
    assert eventually(lambda: path.exists() and path.stat().st_size > 10**6)
    for worker in workers:
        worker.kill()
        worker.join()
        with path.open("ab") as file:  # as if it had died in the midst
            file.write(b'{"version": 1, "id"')
    journaled(path, "last")
    lines = path.read_bytes().splitlines()

    assert len(lines) - len(ids(path)) <= len(workers)
    assert "last" == ids(path)[-1]


def test_a_journal_nobody_wrote_to_is_closed(tmp_path: Path) -> None:
    """Without a thread to wait for, and without a file; what comes afterwards is written, by a thread that waits."""
    journal = Journal(tmp_path / "d.jsonl", 1_000_000)
    journal.close()
    assert not journal._wake.is_set()  # else the next thread would never rest
    assert not (tmp_path / "d.jsonl").exists()
    journal.add(trace("a"))
    journal.close()

    assert ["a"] == read(tmp_path / "d.jsonl")
