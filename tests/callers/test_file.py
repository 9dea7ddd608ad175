"""Random keys in a file: rotated with a grace, revoked at once, seen by other processes, never written down."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aigateway.callers import Callers, FernetSeal, FileStore, Peppers, StaticKeys, StoredKeys, Visit
from aigateway.callers._words import with_checksum
from aigateway.errors import ConfigurationError, Refusal, RequestError, Unauthenticated
from aigateway.secrets import Secret
from aigateway.types import Caller, Limits

from .at_once import at_once

OLD = Secret("root-of-last-year-0123456789-abcdefghij")
NEW = Secret("root-of-this-year-9876543210-jihgfedcba")
NOW = 1_800_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "callers.json"


def opened(path: Path, *roots: Secret, encrypt: bool = False, now: Any = None) -> FileStore:
    """Open the file under roots, the newest first."""
    known = roots or (NEW,)
    seal = FernetSeal(known) if encrypt else None
    return FileStore(path, Peppers(known), seal=seal, **({"now": now} if now else {}))


def who(store: FileStore, key: Secret, at: float = NOW, *roots: Secret) -> Caller | str:
    """Give who comes with a key, or why nobody does."""
    callers = Callers(StaticKeys([]), [StoredKeys(store, Peppers(roots or (NEW,)))])
    try:
        return at_once(callers.caller(key.reveal(), Visit(at)))
    except Unauthenticated as error:
        return error.reason


class Other:
    """Talk to another process that has the same file open."""

    def __init__(self, path: Path, *roots: Secret, encrypt: bool = False) -> None:
        words = [root.reveal() for root in roots or (NEW,)]
        command = [
            sys.executable,
            str(Path(__file__).with_name("other_process.py")),
            str(path),
            "encrypt" if encrypt else "",
        ]
        self.process = subprocess.Popen([*command, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert "ready" == self.answer()

    def tell(self, *words: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, *words: object) -> Any:
        self.tell(*words)
        return self.answer()

    def who(self, key: Secret, at: float = NOW) -> Any:
        said = self.ask("who", key.reveal(), at)
        return said["reason"] if isinstance(said, dict) else said

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def others() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def other(stack: ExitStack, path: Path, *roots: Secret, encrypt: bool = False) -> Other:
    """Start another process, to be ended with the test."""
    process = Other(path, *roots, encrypt=encrypt)
    stack.callback(process.close)
    return process


# -- made, found, listed ---------------------------------------------------------------------------


@pytest.mark.parametrize("encrypt", [False, True])
def test_a_key_is_known_after_a_restart(path: Path, encrypt: bool) -> None:
    """By whoever made it, by whoever opens the file later, with all it allows."""
    store = opened(path, encrypt=encrypt)
    key = store.new("editor", at=NOW, scopes=["chat", "admin"], models=["gpt-*"], ends=NOW + 60)

    caller = Caller("editor", frozenset({"chat", "admin"}), key.id, "stored:editor", ("gpt-*",))
    assert caller == who(store, key)
    later = opened(path, encrypt=encrypt)
    assert caller == who(later, key)
    assert caller == who(later, key, NOW + 59.999)
    assert "expired or revoked" == who(later, key, NOW + 60)
    assert "unknown" == who(later, Secret(with_checksum("gw_live_", bytes(32))))


@pytest.mark.parametrize("encrypt", [False, True])
def test_the_file_never_holds_a_key(path: Path, encrypt: bool) -> None:
    """Not as it is, in base64, URL-encoded, reversed, nor its first 20 characters; the list and the object neither."""
    store = opened(path, encrypt=encrypt)
    keys = [store.new("a", at=NOW), store.new("b", at=NOW, environment="test"), store.rotate("a", at=NOW, grace=60)]
    written = path.read_bytes() + json.dumps(store.listing()).encode() + repr(vars(store)).encode()

    for value in [key.reveal() for key in keys] + [NEW.reveal()]:
        raw = value.encode()
        shapes = [
            raw,
            raw[:20],
            raw[8:],
            raw[::-1],
            raw.hex().encode(),
            quote(value, safe="").encode(),
            *(base64.b64encode(b"x" * shift + raw)[4:-4] for shift in range(3)),
            *(base64.urlsafe_b64encode(b"x" * shift + raw)[4:-4] for shift in range(3)),
        ]
        assert [] == [shape for shape in shapes if shape in written]
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_an_encrypted_file_can_be_read_by_nobody(path: Path) -> None:
    """Names, addresses and models neither; only digests stand open."""
    store = opened(path, encrypt=True)
    key = store.new("editor-name", at=NOW, models=["secret-model"], networks=["10.9.8.0/24"])

    text = path.read_text(encoding="utf-8")
    assert [] == [word for word in ("editor-name", "secret-model", "10.9.8", key.id, "chat") if word in text]
    assert [{"digest", "sealed"}] == [set(entry) for entry in json.loads(text)["keys"]]
    assert ["editor-name"] == [entry["name"] for entry in store.listing()]


def test_names_are_taken_once(path: Path) -> None:
    """Until every key of that name is over."""
    store = opened(path)
    store.new("a", at=NOW, ends=NOW + 10)
    with pytest.raises(RequestError, match="a key for 'a' already"):
        opened(path).new("a", at=NOW + 9)
    store.new("a", at=NOW + 10)
    assert 2 == len(store.listing())


def test_what_is_wrong_with_a_key_is_said_when_it_is_made(path: Path) -> None:
    """No such environment, no such address, nobody of that name: nothing is written."""
    store = opened(path)
    with pytest.raises(RequestError, match=r"no environment 'prod'"):
        store.new("a", at=NOW, environment="prod")
    with pytest.raises(ConfigurationError, match=r"'10\.0\.0\.0/99' is no IP address"):
        store.new("a", at=NOW, networks=["10.0.0.0/99"])
    for name in ("", "x" * 65, "a\r\nb", "\x1b[31m", "\ud800"):
        with pytest.raises(RequestError, match="1 to 64 printable characters"):
            store.new(name, at=NOW)
    assert not path.exists()

    store.new("a", at=NOW)
    for turn in (store.rotate, store.revoke):
        with pytest.raises(RequestError, match=r"no valid key of 'b'. Valid: a\."):
            turn("b", at=NOW)
    assert ["a"] == [entry["name"] for entry in store.listing()]


# -- turned over and ended -------------------------------------------------------------------------


def test_both_keys_work_elsewhere_until_the_grace_is_over(path: Path, others: ExitStack) -> None:
    """Rotated with 60 seconds: another process takes old and new until the second it ends, then the new only."""
    store = opened(path)
    old = store.new("a", at=NOW, models=["gpt-*"], ends=NOW + 1000)
    elsewhere = other(others, path)
    assert "a" == elsewhere.who(old)

    new = store.rotate("a", at=NOW, grace=60)
    for at in (NOW, NOW + 30, NOW + 59.999):
        assert ["a", "a"] == [elsewhere.who(old, at), elsewhere.who(new, at)]
    for at in (NOW + 60, NOW + 61, NOW + 999):
        assert ["expired or revoked", "a"] == [elsewhere.who(old, at), elsewhere.who(new, at)]
    for at in (NOW + 59.999, NOW + 60):
        here = [
            caller if isinstance(caller, str) else caller.name for caller in (who(store, old, at), who(store, new, at))
        ]
        assert here == [elsewhere.who(old, at), elsewhere.who(new, at)]
    assert "expired or revoked" == elsewhere.who(new, NOW + 1000)  # what it allowed, it allows: to the same end
    caller = who(store, new)
    assert isinstance(caller, Caller)
    assert (("gpt-*",), "stored:a", new.id) == (caller.models, caller.tenant, caller.key)


def test_without_grace_the_old_key_is_dead_at_once(path: Path, others: ExitStack) -> None:
    """Here and elsewhere, in the second of the rotation."""
    store = opened(path)
    old = store.new("a", at=NOW)
    elsewhere = other(others, path)
    assert "a" == elsewhere.who(old)

    new = store.rotate("a", at=NOW)
    assert "expired or revoked" == who(store, old) == elsewhere.who(old)
    assert "a" == elsewhere.who(new)
    assert new != old


def test_a_rotation_elsewhere_is_seen_here(path: Path, others: ExitStack) -> None:
    """A new key at the first request that brings it, though no look is due."""
    store = opened(path, now=lambda: 0.0)
    old = store.new("a", at=NOW)
    assert isinstance(who(store, old), Caller)
    elsewhere = other(others, path)

    new = Secret(elsewhere.ask("rotate", "a", {"at": NOW, "grace": 60}))
    assert isinstance(who(store, new), Caller)
    assert "expired or revoked" == who(store, old, NOW + 60)


def test_a_revoked_key_is_dead_at_once_and_elsewhere_at_the_next_look(path: Path, others: ExitStack) -> None:
    """Every key of the name, the one in its grace too; or the one with that id."""
    store = opened(path)
    old = store.new("a", at=NOW)
    kept = store.new("b", at=NOW)
    elsewhere = other(others, path)
    new = store.rotate("a", at=NOW, grace=1000)
    assert ["a", "a"] == [elsewhere.who(old), elsewhere.who(new)]

    store.revoke("a", at=NOW + 1)
    for key in (old, new):
        assert "expired or revoked" == who(store, key, NOW + 1) == elsewhere.who(key, NOW + 1)
    assert "b" == elsewhere.who(kept, NOW + 1)

    elsewhere.ask("revoke", store.listing()[1]["id"], {"at": NOW + 2})
    assert "expired or revoked" == who(opened(path), kept, NOW + 2)


def test_a_look_is_due_every_second(path: Path) -> None:
    """A key that is known costs no look before; what another process ended is seen at the next one."""
    clock = [0.0]
    store, elsewhere = opened(path, now=lambda: clock[0]), opened(path)
    key = elsewhere.new("a", at=NOW)
    assert isinstance(who(store, key), Caller)

    elsewhere.revoke("a", at=NOW)
    clock[0] = 0.99
    assert isinstance(who(store, key), Caller)
    clock[0] = 1.0
    assert "expired or revoked" == who(store, key)


def test_two_processes_lose_nothing(path: Path, others: ExitStack) -> None:
    """They make, turn over and end keys of one file as fast as they can: all is as each of them left it."""
    workers = [other(others, path), other(others, path)]
    for name, worker in zip("ab", workers, strict=True):
        worker.tell("hammer", name, 24)
    left = [worker.answer() for worker in workers]
    store, later = opened(path), NOW

    assert [{"valid", "ended"}] * 2 == [set(report) for report in left]
    for report in left:
        assert (16, 20) == (len(report["valid"]), len(report["ended"]))
        for name, key in report["valid"].items():
            caller = who(store, Secret(key), later)
            assert isinstance(caller, Caller)
            assert name == caller.name
        assert {"expired or revoked"} == {who(store, Secret(key), later) for key in report["ended"]}
    entries = store.listing()
    assert 2 * (24 + 12) == len(entries) == len({entry["id"] for entry in entries})


# -- roots change ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encrypt", [False, True])
def test_the_root_is_rotated_without_a_refusal(path: Path, encrypt: bool) -> None:
    """The old root second: every key is found and moved as it is used; afterwards the new root is enough for those."""
    before = opened(path, OLD, encrypt=encrypt)
    used, unused = before.new("used", at=NOW), before.new("unused", at=NOW)

    store = opened(path, NEW, OLD, encrypt=encrypt)
    for _ in range(3):
        caller = who(store, used, NOW, NEW, OLD)
        assert isinstance(caller, Caller)
        assert "used" == caller.name
    fresh = store.new("fresh", at=NOW)

    after = opened(path, NEW, encrypt=encrypt)
    names = [caller.name for key in (used, fresh) if isinstance(caller := who(after, key), Caller)]
    assert ["used", "fresh"] == names
    assert "unknown" == who(after, unused)
    assert isinstance(who(opened(path, NEW, OLD, encrypt=encrypt), unused, NOW, NEW, OLD), Caller)
    assert 3 == len(store.listing())
    assert OLD.reveal() not in path.read_text(encoding="utf-8")


def test_a_root_is_rotated_under_traffic_of_two_processes(path: Path, others: ExitStack) -> None:
    """One knows the old root only, then one both: whoever is asked, whatever the other has moved, nobody is refused."""
    before = opened(path, OLD)
    keys = [before.new(f"n{number}", at=NOW) for number in range(8)]
    both = [other(others, path, NEW, OLD), other(others, path, NEW, OLD)]

    for turn in range(3):
        for number, key in enumerate(keys):
            both[0].tell("who", key.reveal(), NOW)
            both[1].tell("who", keys[-1 - number].reveal(), NOW)
            assert f"n{number}" == both[0].answer(), turn
            assert f"n{7 - number}" == both[1].answer(), turn
    assert {f"n{number}" for number in range(8)} == {other(others, path, NEW).who(key) for key in keys}


def test_a_file_that_cannot_be_written_still_knows_its_keys(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A read-only mount with the old root second: found every time, and the log says why it is not moved."""
    key = opened(path, OLD).new("a", at=NOW)
    store = opened(path, NEW, OLD)

    def read_only(*args: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(os, "replace", read_only)
    assert [True, True] == [isinstance(who(store, key, NOW, NEW, OLD), Caller) for _ in range(2)]
    assert "stays under its old root secret" in caplog.text
    assert "Read-only" in caplog.text
    assert key.reveal() not in caplog.text


def test_what_was_encrypted_under_the_old_root_is_written_anew_at_opening(path: Path) -> None:
    """The old ciphertext is gone from the file; once is enough."""
    opened(path, OLD, encrypt=True).new("a", at=NOW)
    sealed = json.loads(path.read_bytes())["keys"][0]["sealed"]

    opened(path, NEW, OLD, encrypt=True)
    written = path.read_bytes()
    assert sealed.encode() not in written
    assert ["a"] == [entry["name"] for entry in opened(path, NEW, encrypt=True).listing()]
    opened(path, NEW, OLD, encrypt=True)
    assert written == path.read_bytes()


def test_what_was_not_encrypted_is_at_opening(path: Path) -> None:
    """Turning encryption on leaves nothing readable."""
    key = opened(path).new("editor-name", at=NOW)
    store = opened(path, encrypt=True)

    assert "editor-name" not in path.read_text(encoding="utf-8")
    assert isinstance(who(store, key), Caller)


def test_a_lost_root_is_said_at_the_start(path: Path) -> None:
    """Without the old root, or without encryption switched on: refused, and the file stays as it was."""
    opened(path, OLD, encrypt=True).new("a", at=NOW)
    written = path.read_bytes()

    with pytest.raises(
        ConfigurationError, match=r"under another root secret\. Name that one after the new one"
    ) as error:
        opened(path, NEW, encrypt=True)
    assert str(path) in error.value.message
    with pytest.raises(ConfigurationError, match=r"are encrypted\. Set encrypt = true"):
        opened(path, OLD)
    assert written == path.read_bytes()


# -- files that are none of ours -------------------------------------------------------------------

ENTRY = {
    "id": "1",
    "name": "a",
    "key": "key-1",
    "digest": "00",
    "environment": "live",
    "made": 0,
    "ends": None,
    "scopes": [],
    "models": [],
    "networks": [],
    "domains": [],
}
FOREIGN: list[Any] = [
    {"name": "a package", "dependencies": {}},
    {"version": 2, "keys": []},
    {"version": 1, "keys": None},
    {"version": 1, "keys": 5},
    {"version": 1, "keys": {"a": 1}},
    {"version": 1, "keys": ["a"]},
    {"version": 1, "keys": [{}]},
    {"version": 1, "keys": [{"sealed": "x", "digest": "y"}]},
    {"version": 1, "keys": [{**ENTRY, "ends": "soon"}]},
    {"version": 1, "keys": [{**ENTRY, "models": "gpt-5*"}]},
    {"version": 1, "keys": [{**ENTRY, "scopes": None}]},
    {"version": 1, "keys": [{**ENTRY, "networks": ["everywhere"]}]},
    {"version": 1, "keys": [{**ENTRY, "domains": [5]}]},
    [],
    "text",
]


@pytest.mark.parametrize("content", FOREIGN, ids=range(len(FOREIGN)))
@pytest.mark.parametrize("encrypt", [False, True])
def test_a_foreign_file_is_refused_and_kept(path: Path, content: Any, encrypt: bool) -> None:
    """Another program's, another version's, edited by hand: refused at the start with its path, never overwritten."""
    path.write_text(json.dumps(content), encoding="utf-8")
    path.chmod(0o600)
    written = path.read_bytes()

    with pytest.raises(ConfigurationError):
        opened(path, encrypt=encrypt)
    assert written == path.read_bytes()


def test_a_file_everybody_can_write_is_refused(path: Path) -> None:
    """Anybody could let himself in."""
    opened(path).new("a", at=NOW)
    path.chmod(0o666)

    with pytest.raises(ConfigurationError, match=r"everybody on this machine can write the file .*chmod 600"):
        opened(path)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"version": 9}', b'{"version": 1, "keys": [{}]}'])
def test_a_file_that_breaks_while_we_run_lets_nobody_in(path: Path, content: bytes) -> None:
    """Every request says so, none is served by what is no longer written there; mended, it works again."""
    store = opened(path, now=iter(range(10_000)).__next__)
    key = store.new("a", at=NOW)
    written = path.read_bytes()

    path.write_bytes(content)
    for _ in range(3):
        with pytest.raises(Refusal) as caught:
            who(store, key)
        assert 503 == caught.value.status
        assert "callers.json" not in str(caught.value)
    path.write_bytes(written)
    assert isinstance(who(store, key), Caller)
    path.unlink()
    assert "unknown" == who(store, key)


def test_a_key_without_end_is_written_as_such(path: Path) -> None:
    """What is in the file is JSON of the standard, which has no infinity."""
    store = opened(path)
    store.new("a", at=NOW)
    store.rotate("a", at=NOW, grace=60)

    entries = json.loads(path.read_bytes(), parse_constant=lambda word: pytest.fail(word))["keys"]
    assert [NOW + 60, None] == [entry["ends"] for entry in entries]
    grant = at_once(store.find(entries[1]["digest"]))
    assert grant is not None
    assert inf == grant.ends


def test_limits_of_a_key_outlive_its_rotation(path: Path) -> None:
    """They are kept and read again; a key without any has none, and nonsense is no file of ours."""
    store = opened(path)
    store.new("plain", at=NOW)
    store.new("big", at=NOW, limits=Limits(5000, 0))
    key = store.rotate("big", at=NOW)
    caller = who(opened(path), key)

    assert isinstance(caller, Caller)
    assert Limits(5000, 0) == caller.limits
    assert [None, Limits(5000, 0)] == [entry.caller.limits for entry in list(opened(path)._grants.values())[::2]]
    path.write_text(path.read_text().replace("5000", '"many"'))
    with pytest.raises(ConfigurationError):
        opened(path)
