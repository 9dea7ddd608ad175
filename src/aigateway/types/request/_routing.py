"""What one request says of where it may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from math import isfinite
from typing import Any, Literal

from ...errors import RequestError

__all__ = ["ANYWHERE", "MaxPrice", "Routing", "Sort"]

Sort = Literal["", "price", "latency", "throughput"]
SORTS = ("price", "latency", "throughput")
# Names in one list, and characters in one name: more is no choice any more.
MOST, LONGEST = 64, 512
# Dollars per million tokens; no price comes near it.
DEAREST = 1_000_000


@dataclass(frozen=True, slots=True)
class MaxPrice:
    """The most a target may cost, in dollars per million tokens."""

    input: float | None = None
    output: float | None = None


@dataclass(frozen=True, slots=True)
class Routing:
    """Say, for one request, where it may go.

    `models` are tried after the named model. `only` and `ignore` name providers or `provider/model`;
    what `order` names goes first. `deadline` is in seconds and only shortens. `tags` are for the
    conditions of routes.
    """

    models: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fallback: bool | None = None
    order: tuple[str, ...] = ()
    sort: Sort = ""
    max_price: MaxPrice | None = None
    deadline: float | None = None
    tags: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: object) -> Routing:
        """Read the `routing` object of a request. Raises RequestError naming the wrong field."""
        if value is None:
            return ANYWHERE
        if not isinstance(value, Mapping):
            raise _wrong("", 'must be an object, such as {"only": ["groq"]}')
        known = [field.name for field in fields(cls)]
        for name in value:
            if name not in known:
                near = get_close_matches(str(name)[:LONGEST], known, 1, 0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"use {', '.join(known[:-1])} or {known[-1]}"
                raise _wrong(str(name)[:64], f"is not known; {hint}")
        return cls(**{name: READERS[name](name, part) for name, part in value.items() if part is not None}).checked()

    @classmethod
    def parse_json(cls, text: str) -> Routing:
        """Read the object in JSON, as a header holds it. Raises RequestError."""
        from pydantic_core import from_json

        try:
            return cls.parse(from_json(text, allow_inf_nan=False))
        except ValueError:
            raise _wrong("", 'in a header must be JSON, such as {"only": ["groq"]}') from None

    def over(self, other: Routing) -> Routing:
        """Lay this over another: what is said here counts. Raises RequestError where both contradict each other."""
        said = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}
        return replace(other, **said).checked()

    def checked(self) -> Routing:
        """Give itself. Raises RequestError when it contradicts itself."""
        both = set(self.only) & set(self.ignore)
        if both:
            raise _wrong("ignore", f"names {min(both)[:128]!r}, and so does 'routing.only'. Take it out of one of them")
        return self

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Give the lists that name providers or targets."""
        return {"only": self.only, "ignore": self.ignore, "order": self.order}


def _wrong(name: str, what: str) -> RequestError:
    path = f"routing.{name}" if name else "routing"
    return RequestError(f"{path!r} {what}", param=path)


def _names(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) and each for each in value):
        raise _wrong(name, "must be a list of names")
    if len(value) > MOST or any(len(each) > LONGEST for each in value):
        raise _wrong(name, f"may hold {MOST} names of {LONGEST} characters. Shorten it")
    return tuple(value)


def _sort(name: str, value: object) -> Any:
    if value not in SORTS:
        raise _wrong(name, 'must be "price", "latency" or "throughput"')
    return value


def _max_price(name: str, value: object) -> MaxPrice:
    if not isinstance(value, Mapping) or not value or not set(value) <= {"input", "output"}:
        raise _wrong(name, 'must be an object such as {"input": 1, "output": 5}, in dollars per million tokens')
    return MaxPrice(**{part: _rate(f"{name}.{part}", dollars) for part, dollars in value.items()})


def _rate(name: str, value: object) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not 0 <= value <= DEAREST:  # type: ignore[operator]  # it is a number
        raise _wrong(name, f"must be a number of dollars from 0 to {DEAREST:,}")
    return float(value)  # type: ignore[arg-type]  # as above


def _deadline(name: str, value: object) -> float:
    if not _is_number(value) or value <= 0:  # type: ignore[operator]  # it is a number
        raise _wrong(name, "must be a positive number of seconds")
    return float(value)  # type: ignore[arg-type]  # as above


def _fallback(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "must be true or false")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and isfinite(value)


READERS: Mapping[str, Any] = {
    "models": _names,
    "only": _names,
    "ignore": _names,
    "order": _names,
    "sort": _sort,
    "max_price": _max_price,
    "deadline": _deadline,
    "tags": _names,
    "fallback": _fallback,
}
# What a request says that says nothing.
ANYWHERE = Routing()
