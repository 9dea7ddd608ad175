"""A secret does not show, whatever is done with it short of `reveal`."""

from __future__ import annotations

import copy
import json
import logging
import marshal
import os
import pickle
import pprint
import reprlib
import string
import traceback
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, replace
from string import Template
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from aigateway.secrets import Elsewhere, Secret, mask

VALUE = "sk-live-0123456789abcdef"


class Model(BaseModel):
    """Hold a secret as the settings do."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    key: Secret


class Keyless(BaseModel):
    """Want text where a secret is given."""

    key: str


@dataclass
class Record:
    """Hold a secret as a key does."""

    key: Secret


def refused(show: object) -> str:
    """Give what an attempt to show a secret says."""
    assert callable(show)
    with pytest.raises((TypeError, PydanticSerializationError)) as error:
        show()
    return "".join(traceback.format_exception(error.value))


def test_a_secret_is_not_printed() -> None:
    """repr, str, format in every form, %-formatting, containers, records and models show an id."""
    secret = Secret(VALUE)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>80}",
        f"{secret:>80}",
        "%s %r" % (secret, secret),  # noqa: UP031  # the old form is the test
        "{0} {0!s} {0!a}".format(secret),  # noqa: UP032  # as above
        repr([secret, {"k": secret}]),
        repr(Record(secret)),
        repr(Model(key=secret)),
        repr(Model(key=secret).model_dump()),
        json.dumps({"k": secret}, default=str),
        to_json({"k": secret}, fallback=str).decode(),
    ]

    assert [] == [text for text in shown if VALUE in text or VALUE[8:] in text]
    assert all(secret.id in text for text in shown)


def test_a_secret_is_not_serialised() -> None:
    """JSON, pydantic's JSON, pickle and copies refuse, and the refusal does not show it either."""
    secret, model = Secret(VALUE), Model(key=Secret(VALUE))
    refusals = [
        refused(lambda: json.dumps(secret)),
        refused(lambda: to_json(secret)),
        refused(model.model_dump_json),
        refused(lambda: pickle.dumps(secret)),
        refused(lambda: pickle.dumps(model)),
        refused(lambda: copy.copy(secret)),
        refused(lambda: copy.deepcopy([secret])),
        refused(lambda: asdict(Record(secret))),
    ]

    assert [] == [text for text in refusals if VALUE in text]


def test_a_secret_is_not_in_tracebacks_or_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Even a traceback that shows local variables shows the id."""

    def fails(secret: Secret) -> None:
        raise ValueError(f"cannot use {secret}")

    try:
        fails(Secret(VALUE))
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        logging.getLogger("test").exception("failed with %s", Secret(VALUE))

    assert Secret(VALUE).id in shown
    assert VALUE not in shown
    assert VALUE not in caplog.text


def test_a_secret_has_no_dict() -> None:
    """`vars` has nothing to show, and no attribute can be added."""
    with pytest.raises(TypeError):
        vars(Secret(VALUE))
    with pytest.raises(AttributeError):
        Secret(VALUE).note = "x"  # type: ignore[attr-defined]  # the assignment is the test


def test_reveal_gives_it_to_whoever_sends_it() -> None:
    """The one door, with a prefix for headers."""
    secret = Secret(VALUE)

    assert VALUE == secret.reveal()
    assert f"Bearer {VALUE}" == secret.prefixed("Bearer ").reveal()
    assert VALUE not in repr(secret.prefixed("Bearer "))


def test_equal_secrets_are_one() -> None:
    """They compare and hash by value, and to nothing but secrets."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert 1 == len({Secret("a"), Secret("a")})
    assert Secret("a").matches("a")
    assert not Secret("a").matches("b")
    assert Secret("\ud800").matches("\ud800")
    assert not Secret("")
    assert Secret(" ")


def test_ids_tell_keys_apart() -> None:
    """An id is stable, short and not a piece of the key."""
    assert Secret("a").id == Secret("a").id
    assert Secret("a").id != Secret("b").id
    assert len("key-") + 6 == len(Secret(VALUE).id)


KEYS = st.text(string.ascii_letters + string.digits + "-_", min_size=16, max_size=48)
PREFIXES = st.sampled_from(["sk-", "sk-proj-", "gsk_", "rk-", "pk_", "cpk_", "gw_live_", "eyJ", "org-"])
# What vendors write around a key they echo.
AROUND = st.sampled_from(
    ["", " ", "\n", "'", '"', ": ", ". ", "Incorrect API key provided: ", "\x1b[31m", "\u2028", "é ", "x" * 300]
)


def is_shown(text: str) -> bool:
    """Tell whether it is one bounded line without control characters."""
    return len(text) <= 256 and len(text.splitlines()) <= 1 and (text.isprintable() or all(c >= " " for c in text))


@given(AROUND, KEYS, AROUND)
def test_no_known_key_survives_masking(before: str, key: str, after: str) -> None:
    """Our key is out, whatever its shape and whatever stands around it."""
    masked = mask(before + key + after + key, Secret(key), None, Secret(""))

    assert key not in masked
    assert is_shown(masked)


@given(
    st.sampled_from(["", " ", "'", "key: ", "(", "\n", "="]),
    PREFIXES,
    st.text(string.ascii_letters + string.digits, min_size=24, max_size=48),
)
def test_no_key_of_a_known_shape_survives_masking(before: str, prefix: str, rest: str) -> None:
    """A key we do not hold (another customer's, say) is recognised by its shape."""
    masked = mask(f"{before}{prefix}{rest} is wrong")

    assert rest not in masked
    assert masked.endswith("*** is wrong")


@given(st.text(string.ascii_letters + string.digits + "+/=._-", min_size=1))
def test_whatever_follows_bearer_is_masked(token: str) -> None:
    """A header echoed by a vendor loses its token, in any case of the word."""
    assert "got ***" == mask(f"got bEaReR {token}")


@given(st.text(max_size=2000))
def test_masked_text_is_one_bounded_line(text: str) -> None:
    """Whatever a vendor writes, a log gets one line of at most 256 characters without controls."""
    assert is_shown(mask(text))


def test_long_texts_end_in_an_ellipsis() -> None:
    """What was cut says so; the limit is the caller's to choose."""
    assert "x" * 255 + "…" == mask("x" * 257)
    assert "x" * 256 == mask("x" * 256)
    assert "xxx…" == mask("x" * 9, limit=4)


def test_harmless_words_stay() -> None:
    """Masking does not eat what only looks a little like a key."""
    text = "the task-force asked: is risk_assessment on? model gpt-5.4 at org level, pk 12"

    assert text == mask(text)


def test_masking_is_fast_on_hostile_text() -> None:
    """A megabyte of almost-keys takes no time."""
    assert len(mask("sk-" * 350_000, Secret("y"))) <= 256
    assert len(mask("bearer " * 150_000)) <= 256


def filled(value: str) -> Secret:
    """Make a secret a plug-in has read."""
    secret = Elsewhere("vault", "team/keys")
    secret.fill(value)
    return secret


@dataclass
class Keys:
    """Hold secrets as settings do, one inside another."""

    one: Secret
    more: dict[str, list[Secret]]


WAYS: list[Callable[[Any], object]] = [
    repr,
    str,
    ascii,
    format,
    lambda value: f"{value} {value!s} {value!r} {value!a} {value:x}",
    lambda value: "%s %r %a" % (value, value, value),  # noqa: UP031  # the old form is the test
    lambda value: "%d" % value,  # noqa: UP031  # as above
    lambda value: "%(v)s" % {"v": value},  # noqa: UP031  # as above
    lambda value: Template("$v").substitute(v=value),
    pprint.pformat,
    reprlib.repr,
    json.dumps,
    lambda value: json.dumps(value, default=str),
    lambda value: json.dumps(value, default=repr),
    lambda value: json.dumps(value, default=vars),
    lambda value: json.dumps({str(value): 1}),
    lambda value: to_json(value, fallback=repr),
    lambda value: to_json(value, serialize_unknown=True),
    to_jsonable_python,
    lambda value: to_jsonable_python(value, serialize_unknown=True),
    lambda value: Model(key=value).model_dump(mode="json"),
    lambda value: Model(key=value).model_dump_json(fallback=str),
    lambda value: Model.model_validate({"key": [value]}),
    lambda value: Keyless.model_validate({"key": value}),
    lambda value: asdict(Keys(value, {"a": [value]})),
    lambda value: astuple(Keys(value, {"a": [value]})),
    lambda value: repr(Keys(value, {"a": [value]})),
    lambda value: replace(Keys(value, {}), more={"a": [value]}),
    lambda value: [pickle.dumps(value, protocol) for protocol in range(6)],
    marshal.dumps,
    copy.copy,
    copy.deepcopy,
    vars,
    lambda value: value.__dict__,
    lambda value: value.__getstate__(),
    lambda value: object.__reduce_ex__(value, 2),
    bytes,
    list,
    dict,
    tuple,
    len,
    int,
    lambda value: value + "x",
    lambda value: "x" + value,
    lambda value: value + b"x",
    "".join,
    lambda value: ["".join(part) for part in (["x", value], [value])],
    lambda value: value in "text",
    lambda value: value[0],
    lambda value: value < value,
    lambda value: {**value},
    lambda value: open(value),  # noqa: SIM115  # it is refused
    lambda value: os.environ.__setitem__("NAME", value),
    os.fspath,
    lambda value: urlencode({"key": value}),
    lambda value: setattr(value, "note", 1),
    lambda value: value.missing,
    lambda value: value.__weakref__,
]


@pytest.mark.parametrize("make", [Secret, filled], ids=["read", "elsewhere"])
@pytest.mark.parametrize("way", range(len(WAYS)))
def test_there_is_no_way_to_show_one_by_accident(make: Callable[[str], Secret], way: int) -> None:
    """Whatever gives something gives the id; whatever is refused is refused without the value, locals and all."""
    secret = make(VALUE)
    try:
        shown = repr(WAYS[way](secret))
    except Exception as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())

    spellings = [VALUE, VALUE[:20], VALUE[8:], quote(VALUE, safe=""), b64encode(VALUE.encode()).decode()[:20]]
    assert [] == [spelling for spelling in spellings if spelling in shown]
