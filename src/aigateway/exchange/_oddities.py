"""What was odd about an answer that was taken all the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ..secrets import Secret
from ..types import Call, Target
from ._failures import placed
from ._source import Source, WireSource

__all__ = ["ANSWERS", "note", "warn_of_fewer"]

LOG = logging.getLogger("aigateway.exchange")
# Where the answers are, for each operation in which `n` asks for several.
ANSWERS: Mapping[str, str] = {"chat": "choices", "completions": "choices", "images": "data"}


def note(source: Source | None, call: Call, target: Target, key: Secret | None) -> None:
    """Tell of the event that was skipped, and of those that named another answer, in the log and the trace."""
    if isinstance(source, WireSource) and source.skipped is not None:
        placed(source.skipped, target, key)
        call.trace.warnings.append(f"one event of {target} made no sense and was skipped")
    crossed = source.crossed if source is not None else 0
    if crossed:
        LOG.warning("%s: %d events named another answer than the first; it may be another request's", target, crossed)
        call.trace.warnings.append(f"{target} named another answer in {crossed} events of this one")


def warn_of_fewer(call: Call, target: Target, given: int) -> None:
    """Say that a vendor gave fewer answers than `n` asked for, which some do without a word."""
    asked = call.request.body.get("n", 1)
    if asked != 1 and call.operation in ANSWERS and given < asked:
        call.trace.warnings.append(f"{asked} answers were asked for, and {target} gave {given}")
