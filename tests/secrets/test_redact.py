"""The second line of defence: whatever a record holds, no key is in it when it is written."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.secrets import Redact, Secret, without_keys
from aigateway.secrets._secret import KEYLIKE

KEY = "canary-0123456789-of-no-known-shape"


def record(message: object, *args: object, **more: Any) -> logging.LogRecord:
    return logging.LogRecord("somebody", logging.INFO, "file.py", 1, message, args or None, more.pop("exc_info", None))


def written(redact: Redact, one: logging.LogRecord) -> str:
    assert redact.filter(one)
    return logging.Formatter().format(one)


@pytest.mark.parametrize(
    "one",
    [
        record(f"key {KEY}"),
        record("key %s", KEY),
        record("key %s and %s", Secret("other-key-0000000"), {"key": KEY}),
        record(ValueError(KEY)),
    ],
    ids=["message", "argument", "within", "object"],
)
def test_a_known_key_is_taken_out(one: logging.LogRecord) -> None:
    """Wherever in the message it stands; what is around it stays."""
    said = written(Redact([Secret(KEY)]), one)

    assert KEY not in said
    assert "***" in said


def test_what_holds_no_key_stays_as_it_is() -> None:
    """The arguments, too: whoever reads them for themselves finds them."""
    one = record("%d of %s", 3, "four")

    assert Redact([Secret(KEY)]).filter(one)
    assert ("%d of %s", (3, "four")) == (one.msg, one.args)


def test_a_wrong_format_is_no_error() -> None:
    """Logging never raises, and an argument nobody could format is not shown."""
    assert "a record of somebody cannot be formatted" == written(Redact([Secret(KEY)]), record("%d", KEY))


def test_tracebacks_and_stacks() -> None:
    """A key in an exception, in what another handler made of one, and in a stack, is taken out as well."""
    redact = Redact([Secret(KEY)])
    try:
        raise ValueError(KEY)
    except ValueError:
        raised = record("failed", exc_info=sys.exc_info())
    formatted, stack = record("failed"), record("failed")
    formatted.exc_text, stack.stack_info = f"ValueError: {KEY}", f"key = {KEY!r}"
    texts = [written(redact, one) for one in (raised, formatted, stack)]

    assert all(KEY not in text and "***" in text for text in texts)
    assert "ValueError: ***" in texts[0]


def test_keys_that_change_are_followed() -> None:
    """What is known is asked for again when it is said to have changed, and not for each line."""
    keys, asked, version = [Secret(KEY)], list[int](), [1]

    def known() -> list[Secret]:
        asked.append(version[0])
        return keys

    redact = Redact()
    redact.follow(known, lambda: version[0])
    first = [redact.clean(f"{KEY} new-key-of-no-shape") for _ in range(3)]
    keys[0], version[0] = Secret("new-key-of-no-shape"), 2
    second = redact.clean(f"{KEY} new-key-of-no-shape")

    assert ["*** new-key-of-no-shape"] * 3 == first
    assert f"{KEY} ***" == second
    assert [1, 2] == asked


def test_what_looks_like_a_key_needs_not_be_known() -> None:
    """A key of a known shape is taken out though nobody named it; a short word is not, though somebody did."""
    redact = Redact([Secret("short"), Secret("longer-one"), Secret("longer-one-and-more")])

    assert "*** is wrong" == redact.clean("sk-proj-abcdefghijklmnop0123456789 is wrong")
    assert "a short cut" == redact.clean("a short cut")
    assert "*** and ***" == redact.clean("longer-one-and-more and longer-one")


@given(st.from_regex(KEYLIKE), st.text(max_size=20), st.text(max_size=20))
def test_what_looks_like_a_key_is_found_anywhere(found: str, before: str, after: str) -> None:
    """The quick look before the thorough one overlooks nothing it would find."""
    text = before + found + after

    assert KEYLIKE.sub("***", text) == without_keys(text)
