"""Faults by name, so that a test, the command line and the control server say the same thing.

    Fault("rate_limit", 2)  ==  Fault.parse("rate_limit:2")
    Fault.parse("error:503*1")      the next request only

| fault           | amount means          | what the stand-in does                                        |
|-----------------|-----------------------|---------------------------------------------------------------|
| none            |                       | answers                                                       |
| down            |                       | refuses connections, drops the open ones                      |
| rate_limit      | seconds to wait (1)   | 429 as the vendor words it                                    |
| error           | status (500)          | that status; 200: the failure comes inside a 200              |
| hang            |                       | reads the request, answers only when the fault is cleared     |
| cut             | pieces before it (3)  | closes the connection in the middle of the answer             |
| bad_json        | which event (2)       | one broken event; a whole answer ends too early               |
| slow            | seconds (2)           | the first token comes late                                    |
| stall           | pieces before it (3)  | falls silent, goes on when the fault is cleared               |
| reset           |                       | resets the connection instead of answering                    |
| auth            |                       | the key is revoked                                            |
| no_money        |                       | the account is empty                                          |
| html            |                       | a web page with status 200                                    |
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Self

__all__ = ["FAULTS", "NO_FAULT", "Fault", "nearest"]

# Every fault and its amount when none is given; None takes no amount.
FAULTS: dict[str, float | None] = {
    "none": None,
    "down": None,
    "rate_limit": 1.0,
    "error": 500.0,
    "hang": None,
    "cut": 3.0,
    "bad_json": 2.0,
    "slow": 2.0,
    "stall": 3.0,
    "reset": None,
    "auth": None,
    "no_money": None,
    "html": None,
}
SECONDS = frozenset({"rate_limit", "slow"})
UNCOUNTED = frozenset({"none", "down"})  # no request is seen, so none can be counted
FORM = re.compile(r"\s*([a-z_-]+)\s*(?::\s*([0-9.]{1,12})\s*)?(?:\*\s*([0-9]{1,6})\s*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail; `count` requests long, or until it is cleared."""

    kind: str
    amount: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense, with the valid names."""
        if self.kind not in FAULTS:
            raise ValueError(f"unknown fault {self.kind[:40]!r}; {nearest(self.kind, FAULTS)}")
        default = FAULTS[self.kind]
        if self.amount is None:
            object.__setattr__(self, "amount", default)
        elif default is None:
            raise ValueError(f"{self.kind!r} takes no amount; write just {self.kind!r}")
        else:
            self._check_amount(self.amount)
        if self.count is not None and (self.kind in UNCOUNTED or self.count < 1):
            raise ValueError(
                f"{self.kind!r} cannot be counted as *{self.count}; use a count of 1 or more, not on none or down"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kind`, `kind:AMOUNT`, `kind*COUNT` or `kind:AMOUNT*COUNT`."""
        found = FORM.fullmatch(text)
        if found is None:
            raise ValueError(
                f"cannot read fault {text[:40]!r}; write e.g. 'rate_limit:2' or 'error:503*1'; {nearest(text, FAULTS)}"
            )
        kind, amount, count = found[1].replace("-", "_"), found[2], found[3]
        try:
            number = None if amount is None else float(amount)
        except ValueError:
            raise ValueError(f"{amount!r} is not a number; write e.g. 'rate_limit:2'") from None
        return cls(kind, number, None if count is None else int(count))

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        amount = "" if self.amount is None else f":{self.amount:g}"
        return f"{self.kind}{amount}" + ("" if self.count is None else f"*{self.count}")

    @property
    def number(self) -> int:
        """Give the amount as a whole number: pieces, an event, a status."""
        return int(self.amount or 0)

    @property
    def seconds(self) -> float:
        """Give the amount as a time."""
        return self.amount or 0.0

    def used(self) -> Fault:
        """Give what is left of it after one more request."""
        if self.count is None:
            return self
        return NO_FAULT if self.count == 1 else replace(self, count=self.count - 1)

    def _check_amount(self, amount: float) -> None:
        if not math.isfinite(amount) or amount < 0:
            raise ValueError(f"the amount of {self.kind!r} must be 0 or more, not {amount!r}")
        if self.kind in SECONDS:
            if amount > 86400:
                raise ValueError(f"{self.kind!r} takes at most 86400 seconds, not {amount:g}")
            return
        if amount != int(amount):
            raise ValueError(f"{self.kind!r} takes a whole number, not {amount:g}")
        if self.kind == "bad_json" and amount < 1:
            raise ValueError("'bad_json' counts events from 1")
        if self.kind == "error" and not (amount == 200 or 400 <= amount <= 599 or 1000 <= amount <= 2999):
            raise ValueError(f"'error' takes a status (200, 400-599) or a MiniMax code (1000-2999), not {amount:g}")


NO_FAULT = Fault("none")


def nearest(word: str, valid: dict[str, float | None] | tuple[str, ...]) -> str:
    """Name the closest valid word, then all of them."""
    close = get_close_matches(word.lower().strip(), list(valid), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid: {', '.join(valid)}"
