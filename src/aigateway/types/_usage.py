"""What an answer used, in buckets that cannot overlap."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

__all__ = ["Cost", "Known", "Usage"]


Known = Literal["reported", "priced", "estimated", "unknown"]


class Cost(NamedTuple):
    """Say what something cost, in picodollars (10^-12 US dollars), and how that is known.

    `amount` is None while it is unknown, never 0 for it. `priced` is our price table times reported
    usage, `reported` is what the vendor said it charged.
    """

    amount: int | None = None
    source: Known = "unknown"

    @property
    def dollars(self) -> Decimal | None:
        """Give it in US dollars, exactly."""
        return None if self.amount is None else Decimal(self.amount).scaleb(-12)

    @property
    def shown(self) -> str:
        """Write it for people; what is too little to be shown is no nothing."""
        if self.amount is None:
            return "an unknown amount"
        return "less than $0.000001" if 0 < self.amount <= 500_000 else f"${self.dollars:.6f}"


@dataclass(frozen=True, slots=True)
class Usage:
    """Count the tokens of one answer.

    `input` is the whole prompt and `output` the whole answer; `cached`, `cache_write` and
    `image_input` are parts of `input` that do not overlap, `reasoning` and `image_output` are parts
    of `output`. `images` counts images that were made. `tier` names the service tier that
    answered, "" for the usual one; `charged` is what the vendor says it charged, in picodollars.
    `source` says who counted; nothing is ever reported as 0 because it was unknown.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    source: Literal["reported", "estimated", "unknown"] = "unknown"
    images: int = 0
    image_input: int = 0
    image_output: int = 0
    tier: str = ""
    charged: int | None = None

    @property
    def total(self) -> int:
        """Add prompt and answer."""
        return self.input + self.output

    @property
    def uncached(self) -> int:
        """Count the prompt's text tokens that were neither read from nor written to a cache."""
        return max(0, self.input - self.cached - self.cache_write - self.image_input)

    @property
    def text_output(self) -> int:
        """Count the answer's tokens without those of images; reasoning is text."""
        return max(0, self.output - self.image_output)

    # OpenAI's names for the same figures.
    @property
    def prompt_tokens(self) -> int:
        """Give `input`."""
        return self.input

    @property
    def completion_tokens(self) -> int:
        """Give `output`."""
        return self.output

    @property
    def total_tokens(self) -> int:
        """Give `total`."""
        return self.total

    def openai(self) -> dict[str, Any]:
        """Give the object OpenAI's clients read."""
        return {
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.total,
            "prompt_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": self.cache_write},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }
