"""A decision as a line of JSON, and back; what has its default is left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..errors import RequestError
from ._decision import Considered, Decision, Trace
from ._target import Facts

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from ._target import Candidate

__all__ = ["frozen", "read", "write"]

T = TypeVar("T")
Clean = Callable[[str], str]
# Characters a caller's `routing` may have in a record; a longer one is left out, and said to be.
LONGEST = 4096
UNKNOWN = Facts()


def frozen(trace: Trace) -> Decision:
    """Freeze what a trace holds."""
    held: dict[str, Any] = {name: getattr(trace, name) for name in Trace.__slots__}
    held.update((name, tuple(value)) for name, value in held.items() if isinstance(value, list))
    held["candidates"] = tuple(str(candidate.target) for candidate in trace.candidates)
    looked = any(c.cost is not None or c.keys_free != 1 or c.facts != UNKNOWN for c in trace.candidates)
    held["considered"] = tuple(map(_considered, trace.candidates)) if looked else ()
    held["routing"] = {} if trace.routing is None else _plain(trace.routing, str)
    if len(str(held["routing"])) > LONGEST:
        held["routing"] = {}
        held["warnings"] += ("the request's routing was too long to be recorded",)
    return Decision(**held)


def write(decision: Decision, clean: Clean) -> str:
    """Give one line of JSON, in ASCII: no terminal obeys it, no reader splits it."""
    plain = {"version": decision.version, **_plain(decision, clean)}
    return json.dumps(plain, separators=(",", ":"), allow_nan=False).replace("\x7f", "\\u007f")


def read(kind: type[T], text: str | bytes, version: int) -> T:
    """Read a record strictly. Raises RequestError that says what is wrong with it, and repeats none of it."""
    from pydantic import ValidationError

    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError("this is no decision record: it is not JSON.") from None
    if not isinstance(found, dict) or not isinstance(found.get("version"), int):
        raise RequestError("this is no decision record: it has no version.")
    if found["version"] != version:
        raise RequestError(
            f"this decision record is of version {found['version']}; this aigateway reads version {version}. "
            "Read it with the aigateway that wrote it."
        )
    try:
        record: T = _adapter(cast("Hashable", kind)).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80]
        raise RequestError(f"this is no decision record: {where}: {first['msg']}.") from None
    return record


def _plain(record: Any, clean: Clean) -> dict[str, Any]:
    """Give the fields of a record that have not their default."""
    kind: Any = type(record)
    usual = _usual(kind)
    names = getattr(kind, "_fields", usual)
    values = ((name, getattr(record, name)) for name in names)
    return {name: _value(value, clean) for name, value in values if name not in usual or value != usual[name]}


@cache
def _usual(kind: Any) -> dict[str, Any]:
    if hasattr(kind, "_field_defaults"):
        return dict(kind._field_defaults)
    blank = kind()
    return {name: getattr(blank, name) for name in kind.__slots__}


def _value(value: Any, clean: Clean) -> Any:
    if isinstance(value, str):
        return clean(value.encode("utf-8", "replace").decode())  # half a character would make the line unreadable
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, Mapping):
        return {_value(str(name), clean): _value(part, clean) for name, part in value.items()}
    if hasattr(value, "_fields") or hasattr(value, "__dataclass_fields__"):
        return _plain(value, clean)
    return [_value(part, clean) for part in value]


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Build the checker on first use: importing does nothing."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _considered(candidate: Candidate) -> Considered:
    target, facts = candidate.target, candidate.facts
    known = (facts.in_flight, facts.failing, facts.first_content, candidate.cost)
    return Considered(str(target), target.weight, candidate.keys_free, *known)
