"""Keys as words: what is misspelled is refused without a look-up."""

from __future__ import annotations

import itertools
import string

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.callers import ENVIRONMENTS, Callers, Grant, Peppers, StaticKeys, StoredKeys, Visit, WeeklyKeys, new_key
from aigateway.callers._words import DIGITS, spelled, with_checksum
from aigateway.errors import RequestError, Unauthenticated
from aigateway.secrets import Secret
from aigateway.types import Caller

ROOT = Secret("root-of-these-tests-0123456789-abcdef")
NOW = 1_800_000_000.0
BITS = st.binary(min_size=32, max_size=32)
PREFIXES = st.sampled_from([f"gw_{name}_" for name in ENVIRONMENTS])


class Counting:
    """Know one key, and count how often somebody looks."""

    def __init__(self, key: str = "") -> None:
        self.known = Peppers([ROOT]).digest(key) if key else ""
        self.looks = 0

    async def find(self, digest: str) -> Grant | None:
        self.looks += 1
        return Grant(Caller("known")) if digest == self.known else None

    async def moved(self, old: str, new: str) -> None:
        raise AssertionError("nothing was kept under an older root")


def admitted(store: Counting, key: str) -> bool:
    """Tell whether a key is let in; a refusal is the same for all."""
    callers = Callers(StaticKeys([]), [StoredKeys(store, Peppers([ROOT])), WeeklyKeys(ROOT)])

    async def run() -> bool:
        try:
            return bool(await callers.caller(key, Visit(NOW)))
        except Unauthenticated as error:
            assert (401, "unknown" if key else "missing") == (error.status, error.reason)
            return False

    return anyio.run(run)


def is_spelled(key: str) -> bool:
    """Tell whether a key would be looked up anywhere."""
    return StoredKeys(Counting(), Peppers([ROOT])).claims(key) or WeeklyKeys(ROOT).claims(key)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_new_keys_are_well_spelled(environment: str) -> None:
    """Prefix, 43 digits, 6 of checksum; found with one look, and never twice the same."""
    keys = [new_key(environment).reveal() for _ in range(50)]

    assert {len(f"gw_{environment}_") + 49} == {len(key) for key in keys}
    assert all(key.startswith(f"gw_{environment}_") and is_spelled(key) for key in keys)
    assert 50 == len(set(keys))
    store = Counting(keys[0])
    assert admitted(store, keys[0])
    assert 1 == store.looks


@pytest.mark.parametrize("environment", ["", "prod", "LIVE", "live_", "../x", "l" * 1000])
def test_there_are_four_environments(environment: str) -> None:
    """A key nobody would recognise is not made."""
    with pytest.raises(RequestError, match="live, test, staging, dev") as error:
        new_key(environment)
    assert len(error.value.message) < 200


@given(PREFIXES, BITS)
def test_every_256_bits_have_a_word_of_their_own(prefix: str, bits: bytes) -> None:
    """Nothing is lost in spelling: the digits give the bits again."""
    key = with_checksum(prefix, bits)
    number = 0
    for digit in key[len(prefix) : -6]:
        number = number * 62 + DIGITS.index(digit)

    assert bits == number.to_bytes(32, "big")
    assert is_spelled(key)


@given(PREFIXES, BITS, st.data())
def test_one_changed_character_is_seen(prefix: str, bits: bytes, data: st.DataObject) -> None:
    """Wherever it is and whatever it becomes."""
    key = with_checksum(prefix, bits)
    at = data.draw(st.integers(0, len(key) - 1))
    other = data.draw(st.characters().filter(lambda c: c != key[at]))

    assert not is_spelled(key[:at] + other + key[at + 1 :])


def test_one_changed_digit_is_seen_everywhere() -> None:
    """Every digit of a key, every other digit: exhaustively, for one key of each sort."""
    for key in (new_key().reveal(), WeeklyKeys(ROOT).key("weekly", NOW).reveal()):
        changed = (key[:at] + digit + key[at + 1 :] for at in range(len(key)) for digit in DIGITS if digit != key[at])
        assert not any(is_spelled(other) for other in changed)


def test_two_swapped_characters_are_seen() -> None:
    """Not only neighbours."""
    for key in (new_key("dev").reveal(), WeeklyKeys(ROOT).key("weekly", NOW).reveal()):
        for one, other in itertools.combinations(range(len(key)), 2):
            letters = list(key)
            letters[one], letters[other] = letters[other], letters[one]
            assert "".join(letters) == key or not is_spelled("".join(letters))


@given(PREFIXES, PREFIXES, BITS)
def test_another_prefix_is_seen(prefix: str, other: str, bits: bytes) -> None:
    """A test key does not become a live key, nor a weekly one."""
    key = with_checksum(prefix, bits)

    assert (prefix == other) == is_spelled(other + key[len(prefix) :])
    assert not is_spelled("sk-" + key[len(prefix) :])
    assert not is_spelled(prefix.upper() + key[len(prefix) :])


@given(PREFIXES, BITS, st.integers(0, 60), st.text(min_size=1, max_size=9))
def test_shorter_and_longer_is_seen(prefix: str, bits: bytes, size: int, more: str) -> None:
    """Truncated, extended at either end, blank around it, the same twice."""
    key = with_checksum(prefix, bits)

    assert not is_spelled(key[:size]) or key == key[:size]
    assert not is_spelled(key + more)
    assert not is_spelled(more + key)
    assert not is_spelled(key + key)


GOOD = with_checksum("gw_live_", bytes(range(40, 72)))
HOSTILE = [
    "",
    " ",
    "\0",
    GOOD + "\0",
    GOOD[:20] + "\0" + GOOD[21:],
    GOOD + "\n",
    " " + GOOD,
    GOOD[:-1] + "\u0661",  # a digit, but not one of ours
    GOOD.translate({ord(c): ord(c) + 0xFEE0 for c in string.digits + string.ascii_letters}),  # full width
    GOOD[:9] + "²" + GOOD[10:],
    GOOD[:-1] + "\ud800",
    "gw_live_" + "\ud800" * 49,
    "gw_live_" + "\u0661" * 49,
    "x" * 2**20,
    GOOD + "x" * 2**20,
    "gw_live_" * 2**17,
    "gw_live_' OR 1=1 --",
    "gw__" + GOOD[8:],
    "gw_live_",
    "sk-",
    GOOD.swapcase(),
]


def test_hostile_keys_cost_no_look_up() -> None:
    """Digits of other scripts, NUL, a megabyte, lone surrogates: refused as if unknown, and nobody looked."""
    store = Counting(GOOD)

    assert [] == [key[:60] for key in HOSTILE if admitted(store, key)]
    assert 0 == store.looks
    assert admitted(store, GOOD)


def test_a_spelled_key_that_is_unknown_costs_one_look() -> None:
    """It might have been known; the refusal is the same."""
    store = Counting(GOOD)

    assert not admitted(store, new_key().reveal())
    assert 1 == store.looks


@pytest.mark.parametrize("same", [20, 40, len(GOOD) - 7, len(GOOD) - 1])
def test_keys_with_the_same_beginning_are_two_keys(same: int) -> None:
    """The first 20, 40, n-1 characters in common, well spelled or not: never the same digest, name or caller."""
    digits = GOOD[8:-6]
    other = digits[: same - 8] + "".join("1" if d == "0" else "0" for d in digits[same - 8 :])
    key = with_checksum("gw_live_", number(other).to_bytes(32, "big"))
    if same > len(GOOD) - 7:
        key = GOOD[:-1] + ("1" if GOOD[-1] == "0" else "0")
    peppers = Peppers([ROOT])

    assert GOOD[:same] == key[:same]
    assert peppers.digest(GOOD) != peppers.digest(key)
    assert Secret(GOOD).id != Secret(key).id
    assert not admitted(Counting(GOOD), key)


def number(digits: str) -> int:
    """Read base 62."""
    value = 0
    for digit in digits:
        value = value * 62 + DIGITS.index(digit)
    return value


@given(st.integers(0, 62**6 - 1))
def test_spelling_is_base_62(value: int) -> None:
    """Fixed width, zeros in front."""
    assert value == number(spelled(value, 6))
    assert 6 == len(spelled(value, 6))
