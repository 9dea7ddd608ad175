"""What was odd about a stream that went on all the same."""

from __future__ import annotations

import logging

from ..secrets import Secret
from ..types import Call, Target
from ._failures import placed
from ._source import Source, WireSource

__all__ = ["note"]

LOG = logging.getLogger("aigateway.exchange")


def note(source: Source | None, call: Call, target: Target, key: Secret | None) -> None:
    """Tell of the event that was skipped, and of those that named another answer, in the log and the trace."""
    if isinstance(source, WireSource) and source.skipped is not None:
        placed(source.skipped, target, key)
        call.trace.warnings.append(f"one event of {target} made no sense and was skipped")
    crossed = source.crossed if source is not None else 0
    if crossed:
        LOG.warning("%s: %d events named another answer than the first; it may be another request's", target, crossed)
        call.trace.warnings.append(f"{target} named another answer in {crossed} events of this one")
