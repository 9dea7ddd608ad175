"""The tables of models: what the operator knows of one that its plug-in does not, or knows better."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from itertools import combinations
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ...catalogue import windows
from ...types import ABILITIES, ModelInfo, Price
from .._tables import Table

__all__ = ["ModelSettings", "PriceSettings"]

# Dollars per million tokens, or per image, that nobody asks.
DEAREST = 1_000_000
ALWAYS = date(1970, 1, 1)
BUCKETS = ("input", "output", "cached", "cache_write", "image_input", "image_output", "per_image")


def _exactly(value: object, places: int) -> int:
    """Read dollars, a number or a text of one, as a whole count of their 10^-places part. Raises ValueError."""
    try:
        dollars = Decimal(str(value)) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except InvalidOperation:
        dollars = None
    if dollars is None or not dollars.is_finite():
        raise ValueError('must be US dollars, a number or a text such as "0.15"')
    if dollars < 0:
        raise ValueError("must not be less than 0")
    if dollars > DEAREST:
        raise ValueError("is more than anybody asks; prices are US dollars per million tokens (per image for images)")
    exact = dollars.scaleb(places)
    if exact != exact.to_integral_value():
        raise ValueError(f"has more than {places} decimal places; no figure is rounded")
    return int(exact)


def _per_million(value: object) -> object:
    return value if value is None else _exactly(value, 6)


def _each(value: object) -> object:
    return value if value is None else _exactly(value, 12)


def _as_day(value: object) -> object:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError("must be a day, such as 2027-01-31")
    return value


def _a_window(words: str) -> str:
    if not windows(words):
        raise ValueError('must be hours of the week in UTC, such as "Mon-Fri 01:00-04:00" or "Sun 22:00-24:00"')
    return words


def _an_ability(word: str) -> str:
    if word not in ABILITIES:
        near = get_close_matches(word, ABILITIES, 1, 0.5)
        hint = f"Did you mean {near[0]!r}?" if near else f"There is: {', '.join(sorted(ABILITIES))}."
        raise ValueError(f"{word[:64]!r} is not an ability. {hint}")
    return word


SHOWN = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0}]})
Dollars = Annotated[int | None, BeforeValidator(_per_million), SHOWN]
DollarsEach = Annotated[int | None, BeforeValidator(_each), SHOWN]
Day = Annotated[date, BeforeValidator(_as_day)]


class PriceSettings(Table):
    """One row of prices, in US dollars per million tokens (per image for `per_image`)."""

    since: Day | None = None
    until: Day | None = None
    input: Dollars = None
    output: Dollars = None
    cached: Dollars = None
    cache_write: Dollars = None
    image_input: Dollars = None
    image_output: Dollars = None
    per_image: DollarsEach = None
    above_tokens: Annotated[int, Field(ge=0, le=10**9)] = 0
    hours: list[Annotated[str, AfterValidator(_a_window)]] = []
    not_on: list[Day] = []
    tier: str = ""
    label: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(getattr(self, bucket) is None for bucket in BUCKETS):
            raise ValueError(f"states no price; give {', '.join(BUCKETS)}, or leave the row out")
        if self.until is not None and self.until <= (self.since or ALWAYS):
            raise ValueError("ends (`until`) before it begins (`since`)")
        return self

    def build(self) -> Price:
        """Give the row."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        fields |= {"since": self.since or ALWAYS, "hours": tuple(self.hours), "not_on": tuple(self.not_on)}
        return Price(**fields)

    def overlaps(self, other: PriceSettings) -> bool:
        """Tell whether there are calls for which nothing says which of two rows counts."""
        if (self.since, self.above_tokens, self.tier) != (other.since, other.above_tokens, other.tier):
            return False
        if not (self.hours and other.hours):
            return not (self.hours or other.hours)
        ours, theirs = ([span for words in row.hours for span in windows(words)] for row in (self, other))
        return any(start < end and begin < stop for start, stop in ours for begin, end in theirs)


def _one_price_for_a_call(rows: list[PriceSettings]) -> list[PriceSettings]:
    for (first, one), (second, other) in combinations(enumerate(rows, 1), 2):
        if one.overlaps(other):
            raise ValueError(
                f"rows {first} and {second} hold for the same calls from the same day on. "
                "Leave one out, or give it another since, hours, above_tokens or tier"
            )
    return rows


class ModelSettings(Table):
    """What to know of one model; what is not given is what its plug-in says."""

    new: bool = False
    window: Annotated[int, Field(ge=1, le=10**9)] | None = None
    max_output: Annotated[int, Field(ge=1, le=10**9)] | None = None
    abilities: list[Annotated[str, AfterValidator(_an_ability)]] | None = None
    prices: Annotated[list[PriceSettings], AfterValidator(_one_price_for_a_call)] | None = None
    released: Day | None = None
    shutdown: Day | None = None
    successor: str | None = None
    params: dict[str, Any] | None = None

    def over(self, base: ModelInfo) -> ModelInfo:
        """Lay what is given over `base`."""
        given: dict[str, Any] = {}
        for name in ("window", "max_output", "released", "shutdown"):
            if getattr(self, name) is not None:
                given[name] = getattr(self, name)
        if self.abilities is not None:
            given["abilities"] = frozenset(self.abilities)
        if self.prices is not None:
            given["prices"] = tuple(row.build() for row in self.prices)
        if self.successor is not None:
            given["successor"] = self.successor or None
        if self.params is not None:
            given["successor_params"] = self.params
        return replace(base, **given)
