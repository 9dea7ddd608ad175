"""The URL, what is said, what is known: without a Redis."""

from __future__ import annotations

import subprocess
import sys
from random import Random
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import ConfigurationError
from aigateway.plugins import Registry
from aigateway.secrets import Secret
from aigateway.state import Change, Rest, Rests, of_group, of_key, of_model, of_provider
from aigateway_redis import RedisMirror
from aigateway_redis._codec import Said, State, What, can_be_said, dump_message, dump_said, load_message, load_said
from aigateway_redis._place import read_url
from aigateway_redis._sharing import WAITING, Sharing
from aigateway_redis._table import Table

NAME = of_model("echo", "echo")

# -- the URL --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "name", "key", "options"),
    [
        ("redis://localhost", "localhost:6379", "aigateway:0:rests:1", {"host": "localhost", "port": 6379, "db": 0}),
        ("redis:///7", "localhost:6379", "aigateway:7:rests:1", {"db": 7}),
        ("redis://u:p%40:6@h:1/2?prefix=a.b", "h:1", "a.b:2:rests:1", {"username": "u", "password": "p@:6", "db": 2}),
        ("redis://[::1]:7?db=3", "::1:7", "aigateway:3:rests:1", {"host": "::1", "port": 7, "db": 3}),
        ("rediss://h?ssl_ca_certs=/a.pem", "h:6379", "aigateway:0:rests:1", {"ssl_ca_certs": "/a.pem"}),
        ("unix://:p@/run/r%20s?db=1", "/run/r s", "aigateway:1:rests:1", {"path": "/run/r s", "password": "p"}),
    ],
)
def test_a_url_is_read(url: str, name: str, key: str, options: dict[str, Any]) -> None:
    """Host, port, user, password, database, prefix and certificates come from it; TLS is always verified."""
    place = read_url(Secret(url))

    assert (name, key) == (place.name, place.key)
    assert options == {option: place.options[option] for option in options}
    assert place.options.get("ssl_check_hostname", False) is url.startswith("rediss:")
    assert place.connection() is not place.connection()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://:se/cret@h", "%2F"),
        ("redis://:se#cret@h", "%23"),
        ("redis://secret#@h:1", "cannot be read"),
        ("redis://:secret@h:99999", "cannot be read"),
        ("redis://:secret@[h", "cannot be read"),
        ("redis://:secret@h/two", "number"),
        ("redis://:secret@h/1/2", "number"),
        ("redis://:secret@h?db=-1", "number"),
        ("redis://:secret@h?prefix=a b", "prefix"),
        ("redis://:secret@h?prefix=", "prefix"),
        ("redis://:secret@h?ssl_ca_certs=a", "'ssl_ca_certs'"),
        ("rediss://:secret@h?ssl_cert_reqs=none", "ssl_ca_certs"),
        ("redis://:secret@h?timeout=1", "'timeout'"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_it(url: str, says: str) -> None:
    """The message says what is wrong and what there is; no part of a password, wherever it ended up."""
    with pytest.raises(ConfigurationError) as caught:
        read_url(Secret(url))

    assert says in caught.value.message
    assert not [part for part in ("secret", "cret") if part in caught.value.message]


def test_it_is_a_plug_in_for_three_schemes() -> None:
    """The entry points give mirrors; nothing is connected before they are started, and nothing shows the URL."""
    for scheme in ("redis", "rediss", "unix"):
        found = Registry().state(scheme).factory(Secret(f"{scheme}://:secret@h/"))

        assert isinstance(found, RedisMirror)
        assert "" == found.fault()
        found.close()

        assert "secret" not in repr(found) + repr(found._place)


def test_the_commands_know_it(tmp_path: Any) -> None:
    """`aigateway plugins` lists it; `aigateway check` builds a gateway with it, or says what is wrong with the URL."""
    listed = run("plugins")
    good = tmp_path / "good.toml"
    good.write_text('[providers.echo]\n[routes.r]\ntargets = ["echo/echo"]\n[state]\nurl = "redis://127.0.0.1:1"\n')
    bad = tmp_path / "bad.toml"
    bad.write_text(good.read_text().replace('1"\n', '1/secret"\n'))

    assert 3 == sum(line.split()[:3:2] == [f"state.{name}", "aigateway-redis"] and "loaded" in line
                    for line in listed.stdout.splitlines() for name in ("redis", "rediss", "unix"))  # fmt: skip
    assert (0, "") == ((done := run("check", "--config", str(good))).returncode, done.stderr)
    assert 3 == (done := run("check", "--config", str(bad))).returncode
    assert "must be a number" in done.stderr
    assert "secret" not in done.stderr + done.stdout


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "aigateway", *words], capture_output=True, text=True, check=False)


# -- what is said ---------------------------------------------------------------------------------

words = st.text(max_size=40)
names = st.one_of(
    st.builds(of_provider, words), st.builds(of_model, words, words), st.builds(of_group, words, words, words),
    st.builds(of_key, words, words),
)  # fmt: skip  # one line each says less
times = st.integers(-1_000_000, 86_400_000).map(lambda ms: ms / 1000)
rests = st.builds(
    Rest, times, st.sampled_from(get_args(State)), st.sampled_from(["timeout", "auth"]),
    st.integers(1, 1000), st.integers(0, 3),
)  # fmt: skip  # as above
changes = st.one_of(
    st.builds(Change, names, st.just("rest"), rests),
    st.builds(Change, names, st.sampled_from(["clear", "release"]), st.none(), st.just(0.0)),
    st.builds(Change, names, st.just("claim"), st.none(), st.floats(0, 120)),
)


def said(change: Change, age: float = 0.0) -> Said:
    return Said(change, age, change.rest.until if change.rest else change.seconds)


@given(st.lists(st.builds(said, changes, st.floats(0, 1000)), max_size=5))
def test_what_is_said_is_understood(told: list[Said]) -> None:
    """A change is the same after the way through JSON, to the millisecond, whatever its name holds."""
    process, again, heard = load_message(dump_message("1a-2b", told, again=True))

    assert ("1a-2b", True) == (process, again)
    assert [one.change.name for one in told] == [one.change.name for one in heard]
    assert [(one.change.what, one.is_over) for one in told] == [(one.change.what, one.is_over) for one in heard]
    for mine, theirs in zip(told, heard, strict=True):
        assert mine.age == pytest.approx(theirs.age, abs=0.001)
        if mine.change.rest and theirs.change.rest:
            assert mine.change.rest[1:] == theirs.change.rest[1:]
            assert mine.is_over or mine.left == pytest.approx(theirs.left, abs=0.001)


@given(
    st.one_of(
        st.binary(max_size=200), st.recursive(st.none() | st.floats() | words, st.lists).map(repr).map(str.encode)
    )
)
def test_nothing_else_is_believed(raw: bytes) -> None:
    """Whatever comes is a message, or a ValueError."""
    for load in (load_message, load_said):
        try:
            load(raw)
        except ValueError:
            continue


def test_a_row_from_redis() -> None:
    """What Redis kept comes back with its age and what is left."""
    row = dump_said(said(Change(NAME, "rest", Rest(30.0, "open", "timeout", 2, 3)))).encode()

    heard = load_said(b"1500 28500 " + row)
    assert (1.5, 28.5) == heard[1:]
    assert Rest(28.5, "open", "timeout", 2, 3) == heard.change.rest
    assert Rest(0.001, "open", "timeout", 2, 3) == load_said(b"60000 -30000 " + row).change.rest  # on probation


def test_the_words_are_the_cores() -> None:
    """A state or a change the core has is one that can be said."""
    assert set(get_args(get_type_hints(Rest)["state"])) == set(get_args(State))
    assert set(get_args(get_type_hints(Change)["what"])) == set(get_args(What))
    for name in (of_provider("a"), of_model("a", "b"), of_group("a", "b"), of_group("a", "b", "c"), of_key("a", "b")):
        assert can_be_said(name)


# -- what is known --------------------------------------------------------------------------------


def resting(left: float, proofs: int = 0) -> Change:
    return Change(NAME, "rest", Rest(left, "cooldown", "k", 1, proofs))


CLEAR = Change(NAME, "clear")


def test_the_later_end_or_the_last_word_counts() -> None:
    """Of two rests the later end is kept; an end of a rest counts if it was said last."""
    table = Table()

    assert table.take(Said(resting(30.0), 0.0, 30.0), 100.0)
    assert not table.take(Said(resting(10.0), 0.0, 10.0), 101.0)  # ends sooner
    assert not table.take(Said(resting(29.0), 1.0, 29.0), 101.0)  # the same, told again
    assert table.take(Said(resting(40.0), 0.0, 40.0), 101.0)
    assert not table.take(Said(CLEAR, 5.0), 102.0)  # said before it rested
    assert table.take(Said(CLEAR), 103.0)
    assert not table.take(Said(resting(600.0), 5.0, 600.0), 104.0)  # a late echo of what was cleared
    assert table.take(Said(resting(1.0), 0.0, 1.0), 105.0)


def test_what_is_over_is_forgotten_after_a_while() -> None:
    """A word is kept a minute past its end, one that ended a rest as long as that would have lasted."""
    table = Table()
    table.take(Said(resting(30.0), 0.0, 30.0), 0.0)

    assert 1 == len(table.all(89.0))
    assert 0 == len(table.all(91.0))

    table.take(Said(resting(600.0), 0.0, 600.0), 100.0)
    table.take(Said(CLEAR), 101.0)

    assert [CLEAR] == [one.change for one in table.all(700.0)]
    assert [] == table.all(761.0)


def test_the_table_is_bounded() -> None:
    """It forgets what ends first, never what was said last."""
    table = Table(limit=100)
    for number in range(1000):
        change = Change(of_model("a", str(number)), "rest", Rest(60.0, "cooldown", "k"))
        assert table.take(Said(change, 0.0, 60.0), number / 1000)

    assert len(table.all(1.0)) <= 100
    assert of_model("a", "999") in [one.change.name for one in table.all(1.0)]


def test_telling_never_waits() -> None:
    """While nobody listens, changes wait in a bounded queue: the oldest are dropped, and counted."""
    sharing = Sharing(read_url(Secret("redis://127.0.0.1:1")), Rests(Random(0)))
    for number in range(WAITING + 7):
        sharing.tell(Change(of_model("a", str(number)), "clear"))

    assert (WAITING, 7) == (len(sharing._inbox), sharing._dropped)
    assert of_model("a", "7") == sharing._inbox[0][1].name
    sharing.abandon()
    sharing.tell(Change(NAME, "clear"))
