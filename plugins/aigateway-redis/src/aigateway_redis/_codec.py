"""What processes say to each other: changes as JSON. Nothing that comes in is believed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Never, cast, get_args

from aigateway.state import Change, Name, Rest

__all__ = ["Message", "Said", "can_be_said", "dump_message", "dump_name", "dump_said", "load_message", "load_said"]

What = Literal["rest", "clear", "claim", "release"]
State = Literal["open", "cooldown", "suspended", "disabled", "marked"]
# How many words a name has, the first of which says what it names.
WORDS = {"provider": 2, "model": 3, "group": 4, "key": 3}
LONGEST_WORD = 512
# A little more than the day that is the longest wait a vendor is believed.
LONGEST = 90_000.0
CLAIM = 120.0
MESSAGE, CHANGE = 256 * 1024, 8 * 1024
KIND = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)
PROCESS = re.compile(r"[0-9a-f-]{1,64}", re.ASCII)


class Said(NamedTuple):
    """Say a change, how long ago it was made, and for how long from now a rest goes on."""

    change: Change
    age: float = 0.0
    left: float = 0.0

    @property
    def is_kept(self) -> bool:
        """Tell whether it is worth remembering: who probes just now is not."""
        return self.change.what in {"rest", "clear"}

    @property
    def is_over(self) -> bool:
        """Tell whether it ends a rest: cleared by a person, or proven well."""
        rest = self.change.rest
        return rest is None or (rest.proofs == 0 and rest.until <= 0)


class Message(NamedTuple):
    """Keep what one process said, and whether it may have said so before."""

    process: str
    again: bool
    said: list[Said]


def can_be_said(name: Name) -> bool:
    """Tell whether a name is one others would believe."""
    return len(name) == WORDS.get(name[0]) and all(len(word) <= LONGEST_WORD for word in name)


def dump_name(name: Name) -> str:
    """Write a name, always the same way."""
    return json.dumps(name, separators=(",", ":"))


def dump_said(said: Said) -> str:
    """Write a change for the table in Redis, which keeps its times."""
    return json.dumps(_values(said), separators=(",", ":"))


def _values(said: Said) -> dict[str, Any]:
    change, rest = said.change, said.change.rest
    fields: dict[str, Any] = {"name": change.name, "what": change.what, "age": round(max(said.age, 0.0), 3)}
    if rest is not None:
        fields |= {"left": round(said.left, 3), "over": said.is_over, "state": rest.state, "kind": _kind(rest.kind)}
        fields |= {"times": rest.times, "proofs": rest.proofs}
    elif change.what == "claim":
        fields["left"] = round(max(said.left, 0.0), 3)
    return fields


def _kind(kind: str) -> str:
    return str(kind) if KIND.fullmatch(kind) else "other"


def dump_message(process: str, said: Sequence[Said], *, again: bool = False) -> bytes:
    """Write what one process says; `again` for what it may have said before."""
    body = {"from": process, "again": again, "changes": [_values(one) for one in said]}
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def load_message(raw: bytes) -> Message:
    """Read a message; a change that is not well-formed is passed over. Raises ValueError for one that is none."""
    body = _object(_json(raw, MESSAGE))
    process, changes = body.get("from"), body.get("changes")
    if not (isinstance(process, str) and PROCESS.fullmatch(process) and isinstance(changes, list)):
        raise ValueError("not a message")
    said = []
    for fields in changes[:1024]:
        try:
            said.append(_said(_object(fields)))
        except ValueError:
            continue
    return Message(process, body.get("again") is True, said)


def load_said(row: bytes) -> Said:
    """Read what Redis kept: its age and what is left of it in milliseconds, then the change. Raises ValueError."""
    age, left, body = (*row.split(b" ", 2), b"", b"")[:3]
    fields = _object(_json(body, CHANGE))
    try:
        times = {"age": int(age[:16]) / 1000, "left": int(left[:16]) / 1000}
    except ValueError:
        raise ValueError("not a row") from None
    return _said({**fields, **times})


# -- believing nothing --------------------------------------------------------------------------


def _json(raw: bytes, most: int) -> object:
    if len(raw) > most:
        raise ValueError("too long")
    try:
        return cast("object", json.loads(raw, parse_constant=_refuse))
    except RecursionError:
        raise ValueError("too deep") from None


def _refuse(word: str) -> Never:
    raise ValueError(f"{word} is no number")


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _said(fields: dict[str, Any]) -> Said:
    name, age = _name(fields.get("name")), _number(fields.get("age"), 0.0, 7 * LONGEST)
    what = cast("What", _word(fields.get("what"), get_args(What)))
    if what == "rest":
        left = _number(fields.get("left"), -LONGEST, LONGEST)
        return Said(Change(name, "rest", _rest(fields, left)), age, left)
    left = _number(fields.get("left"), 0.0, CLAIM) if what == "claim" else 0.0
    return Said(Change(name, what, seconds=left), age, left)


def _rest(fields: dict[str, Any], left: float) -> Rest:
    """Read a rest; `until` is what others are to wait from now, 0 where it is over."""
    state, kind = cast("State", _word(fields.get("state"), get_args(State))), fields.get("kind")
    if not (isinstance(kind, str) and KIND.fullmatch(kind)):
        raise ValueError("not a kind")
    times, proofs = _number(fields.get("times"), 1, 1e6), _number(fields.get("proofs"), 0, 100)
    if fields.get("over") is True:
        return Rest(0.0, state, kind, int(times), 0)
    # Still on probation: whoever hears of it only now lets the others go first.
    return Rest(left if left > 0 or not proofs else 0.001, state, kind, int(times), int(proofs))


def _name(value: object) -> Name:
    if not (isinstance(value, list) and value and all(isinstance(word, str) for word in value)):
        raise ValueError("not a name")
    name = tuple(value)
    if not can_be_said(name):
        raise ValueError("not a name of ours")
    return name


def _word(value: object, words: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in words:
        raise ValueError("not a word of ours")
    return value


def _number(value: object, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError("not a number, or too large")
    return float(value)
