"""A small file that several processes change: the old object or the new one, never half of one, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigateway.errors import ConfigurationError
from aigateway.state import Document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)


def put(document: Document, data: dict[str, Any]) -> None:
    """Replace the object."""

    def change(found: dict[str, Any]) -> None:
        found.clear()
        found.update(data)

    document.change(change)


def count(data: dict[str, Any]) -> None:
    """Change the object a little."""
    data["n"] = data.get("n", 0) + 1


def files(folder: Path) -> set[str]:
    """List what lies around, the lock aside."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_without_a_file_there_is_an_empty_object(tmp_path: Path) -> None:
    """Looking makes no file."""
    document = Document(tmp_path / "a.json")

    assert {} == document.read()
    assert not document.changed
    assert set() == files(tmp_path)


@settings(max_examples=30)  # each is several changes on a disk
@given(objects=st.lists(OBJECTS, min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, objects: list[dict[str, Any]]) -> None:
    """By the writer, by whoever looked before, and by whoever comes later; nothing is left beside it."""
    path = tmp_path_factory.mktemp("document") / "a.json"
    writer, reader = Document(path), Document(path)
    for data in objects:
        put(writer, data)
        assert not writer.changed
        assert reader.changed
        assert data == writer.read() == reader.read() == Document(path).read()
        assert not reader.changed
    assert {"a.json"} == files(path.parent)


def test_reading_costs_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is opened again only when it is another one."""
    document = Document(tmp_path / "a.json")
    put(document, {"a": 1})
    fresh = Document(document.path)
    assert {"a": 1} == fresh.read()

    monkeypatch.setattr(Path, "open", lambda *args, **kwargs: pytest.fail("it was opened"))
    assert {"a": 1} == fresh.read() == document.read()


def test_a_file_that_is_gone_is_empty_and_comes_back(tmp_path: Path) -> None:
    """Removed and written anew while somebody is reading."""
    document, other = Document(tmp_path / "a.json"), Document(tmp_path / "a.json")
    put(other, {"a": 1})
    assert {"a": 1} == document.read()

    document.path.unlink()
    assert document.changed
    assert {} == document.read()
    put(other, {"a": 2})
    assert {"a": 2} == document.read()


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """Whatever the umask, from the first byte on."""
    document = Document(tmp_path / "a.json")
    before = os.umask(0)
    try:
        put(document, {"a": 1})
    finally:
        os.umask(before)

    assert 0o600 == stat.S_IMODE(document.path.stat().st_mode)


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    """An exception of the caller's, something that is no JSON: the old object stays, the lock is free, no litter."""
    document = Document(tmp_path / "a.json")
    put(document, {"a": 1})

    def fails(data: dict[str, Any]) -> None:
        data["a"] = 2
        raise KeyError

    with pytest.raises(KeyError):
        document.change(fails)
    for value in (float("nan"), float("inf"), object()):
        with pytest.raises((ValueError, TypeError)):
            document.change(lambda data, value=value: data.update(a=value))  # type: ignore[misc]  # bound early
    assert {"a": 1} == document.read() == Document(document.path).read()
    assert {"a.json"} == files(tmp_path)
    document.change(count)
    assert {"a": 1, "n": 1} == document.read()


FOREIGN = [
    b"",
    b" ",
    b"{",
    b'{"a": 1',
    b"[]",
    b"1",
    b"null",
    b'"text"',
    b"\xff\xfe\x00",
    b"\x00" * 100,
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"KEY=value\n",
    b"9" * 10_000,
]


@pytest.mark.parametrize("content", FOREIGN, ids=lambda content: ascii(content[:9]) + str(len(content)))
def test_what_is_no_json_object_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    """Half a file, another format, bytes, depths: named, and neither shown nor overwritten."""
    path = tmp_path / "a.json"
    path.write_bytes(content)
    document = Document(path)

    for use in (document.read, lambda: document.change(count), document.read):
        with pytest.raises(ConfigurationError, match="not the JSON object it was") as error:
            use()
        assert str(path) in error.value.message
        assert len(error.value.message) < len(str(path)) + 120
    assert content == path.read_bytes()
    path.write_text('{"a": 1}', encoding="utf-8")
    assert {"a": 1} == document.read()


@pytest.mark.parametrize("mode", [0o602, 0o622, 0o666, 0o777])
def test_what_everybody_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever could write it could let himself in; chmod is the way out, and it works without a restart."""
    document = Document(tmp_path / "a.json")
    put(document, {"a": 1})
    document.path.chmod(mode)

    for use in (Document(document.path).read, lambda: document.change(count)):
        with pytest.raises(ConfigurationError, match=rf"{mode:o}\). Run chmod 600") as error:
            use()
        assert str(document.path) in error.value.message
    document.path.chmod(0o640)
    assert {"a": 1} == Document(document.path).read()


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder, a folder in its place, a file as its folder, no permission, a full disk: one error, and the path."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("{}", encoding="utf-8")
    for name, reason in [("none/a.json", "No such file"), ("folder", "directory"), ("file/a.json", "Not a directory")]:
        with pytest.raises(ConfigurationError, match=f"cannot be used: .*{reason}") as error:
            Document(tmp_path / name).change(count)
        assert str(tmp_path / name) in error.value.message
    with pytest.raises(ConfigurationError, match="directory"):
        Document(tmp_path / "folder").read()

    document = Document(tmp_path / "a.json")
    put(document, {"a": 1})
    for name, number, reason in [("fsync", 28, "No space"), ("replace", 13, "Permission denied")]:
        with monkeypatch.context() as patch:
            patch.setattr(os, name, _failing(number))
            with pytest.raises(ConfigurationError, match=reason):
                document.change(count)
    assert {"a": 1} == document.read()
    assert {"folder", "file", "a.json"} == files(tmp_path)
    with monkeypatch.context() as patch:  # root may read everything, so permission is played
        patch.setattr(Path, "open", _failing(13))
        with pytest.raises(ConfigurationError, match="Permission denied"):
            Document(document.path).read()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", _failing(13))
        with pytest.raises(ConfigurationError, match="Permission denied"):
            _ = document.changed


def _failing(number: int) -> Any:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


COUNTING = """
import sys
from pathlib import Path
from aigateway.state import Document
document = Document(Path(sys.argv[1]))
def change(data):
    data.setdefault("seen", []).append([sys.argv[2], len(data.get("seen", []))])
for _ in range(int(sys.argv[3])):
    document.change(change)
"""


def test_processes_lose_nothing(tmp_path: Path) -> None:
    """Three processes change one file 40 times each while a fourth reads: every change is in it, in one order."""
    path = tmp_path / "a.json"
    workers = [
        subprocess.Popen([sys.executable, "-c", COUNTING, str(path), name, "40"], stderr=subprocess.PIPE)
        for name in "abc"
    ]
    reader, sizes = Document(path), [0]
    while any(worker.poll() is None for worker in workers):
        sizes.append(len(reader.read().get("seen", [])))

    assert [b"", b"", b""] == [worker.communicate()[1] for worker in workers]
    seen = reader.read()["seen"]
    assert list(range(120)) == [position for _, position in seen]
    assert {"a": 40, "b": 40, "c": 40} == {name: [n for n, _ in seen].count(name) for name in "abc"}
    assert sorted(sizes) == sizes
    assert {"a.json"} == files(tmp_path)


STOPPING = """
import os, sys
from pathlib import Path
from aigateway.state import Document
where = sys.argv[2]
real = getattr(os, where)
def stop(*args, **options):
    if sys.argv[3] == "after":
        real(*args, **options)
    print("here", flush=True)
    sys.stdin.read()
setattr(os, where, stop)
Document(Path(sys.argv[1])).change(lambda data: data.update(a="new" * 100_000))
"""


@pytest.mark.parametrize(
    ("where", "when", "left"),
    [
        ("fdopen", "before", "old"),
        ("fsync", "before", "old"),
        ("replace", "before", "old"),
        ("replace", "after", "new" * 100_000),
    ],
    ids=["fdopen", "fsync", "before", "after"],  # the names go into the environment of the child, which is bounded
)
def test_a_crash_leaves_the_old_or_the_new(tmp_path: Path, where: str, when: str, left: str) -> None:
    """Killed at each step of a change: the file is whole, and the next change does not wait for the dead."""
    document = Document(tmp_path / "a.json")
    put(document, {"a": "old"})
    command = [sys.executable, "-c", STOPPING, str(document.path), where, when]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert b"here\n" == worker.stdout.readline()
        assert {"a": left} == document.read()
        worker.send_signal(signal.SIGKILL)

    assert {"a": left} == json.loads(document.path.read_bytes()) == document.read()
    document.change(count)
    assert {"a": left, "n": 1} == Document(document.path).read()


def test_who_waits_for_the_lock_waits_so_long(tmp_path: Path) -> None:
    """Somebody who never lets go is named as the file's fault, and what is there stays."""
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "a.json"
    put(Document(path), {"n": 1})
    with (tmp_path / ".a.json.lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for patience in (0.0, 0.05):
            with pytest.raises(ConfigurationError, match="cannot be used"):
                Document(path).change(count, patience=patience)

    assert {"n": 1} == Document(path).read()
    Document(path).change(count)
    assert {"n": 2} == Document(path).read()


def test_no_room_for_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file can be made beside it, the old one stays as it is."""
    document = Document(tmp_path / "a.json")
    put(document, {"n": 1})

    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aigateway.state._document.tempfile.mkstemp", full)
    with pytest.raises(ConfigurationError, match="No space left on device"):
        document.change(count)

    assert {"n": 1} == Document(document.path).read()
    assert {"a.json"} == files(tmp_path)
