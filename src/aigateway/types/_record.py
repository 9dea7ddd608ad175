"""A decision as a line of JSON, and back; what has its default is left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..errors import RequestError
from ._decision import Considered, Decision, Trace
from ._target import Facts

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from ._routing import Routing
    from ._target import Candidate

__all__ = ["frozen", "read", "write"]

T = TypeVar("T")
# Characters a caller's `routing` may have in a record; a longer one is left out, and said to be.
LONGEST = 4096
UNKNOWN = Facts()


def frozen(trace: Trace) -> Decision:
    """Freeze what a trace holds."""
    routing = _sent(trace.routing)
    long = ("the request's routing was too long to be recorded",) if len(str(routing)) > LONGEST else ()
    return Decision(
        trace.asked,
        trace.resolved,
        tuple(str(candidate.target) for candidate in trace.candidates),
        tuple(trace.dropped),
        tuple(trace.steps),
        (*trace.warnings, *long),
        tuple(trace.notes),
        trace.id,
        trace.at,
        trace.operation,
        trace.stream,
        trace.caller,
        trace.timeout,
        trace.estimate,
        {} if long else routing,
        tuple(trace.policies),
        tuple(map(_considered, trace.candidates)) if any(map(_was_looked_at, trace.candidates)) else (),
        trace.seed,
        trace.ended,
    )


def write(decision: Decision, clean: Callable[[str], str]) -> str:
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
    if not isinstance(found, dict) or "version" not in found:
        raise RequestError("this is no decision record: it has no version.")
    if found["version"] != version or isinstance(found["version"], bool):
        named = found["version"] if isinstance(found["version"], int) else "another kind"
        raise RequestError(
            f"this decision record is of version {named}; this aigateway reads version {version}. "
            "Read it with the aigateway that wrote it."
        )
    try:
        record: T = _adapter(cast("Hashable", kind)).validate_json(text, strict=True)
        return record
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80]
        raise RequestError(f"this is no decision record: {where}: {first['msg']}.") from None


def _plain(record: Any, clean: Callable[[str], str]) -> dict[str, Any]:
    """Give the fields of a record that have not their default."""
    return {name: _value(value, clean) for name, value, default in _fields(record) if value != default}


def _fields(record: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(record, tuple):
        kind: Any = type(record)
        return [(name, getattr(record, name), kind._field_defaults.get(name, MISSING)) for name in kind._fields]
    return [(field.name, getattr(record, field.name), _default(field)) for field in fields(record)]


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _value(value: Any, clean: Callable[[str], str]) -> Any:
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


def _sent(routing: Routing | None) -> dict[str, Any]:
    """Give the fields a caller set."""
    if routing is None:
        return {}
    plain = type(routing)()
    return {
        name: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in asdict(routing).items()
        if value != getattr(plain, name)
    }


def _considered(candidate: Candidate) -> Considered:
    facts, target = candidate.facts, candidate.target
    return Considered(
        str(target),
        target.weight,
        candidate.keys_free,
        facts.in_flight,
        facts.failing,
        facts.first_content,
        candidate.cost,
    )


def _was_looked_at(candidate: Candidate) -> bool:
    """Tell whether anything was gathered for a policy: for the order of the configuration nothing is."""
    return candidate.cost is not None or candidate.keys_free != 1 or candidate.facts != UNKNOWN
