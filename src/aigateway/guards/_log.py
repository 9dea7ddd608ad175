"""One JSON line per call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from ..errors import ProviderError
from ..secrets import Redact
from ..types import Call, Chunk, Decision, Outcome, Usage
from ._guard import GuardOptions
from ._settings import flag_of

__all__ = ["LogGuard", "json_line", "line_of"]

logger = logging.getLogger("aigateway.calls")
# Characters of an answer that are logged where answers are; read on a little, lest a key be cut in two and not be seen.
LONGEST, KEY = 2000, 500


class LogGuard:
    """Log who asked what, who answered, how it ended; never a key, and what was said only by `responses`."""

    SETTINGS: Mapping[str, Any] = {"responses": False}
    instant = True

    def __init__(self, *, responses: bool = False) -> None:
        self._texts: dict[int, list[str]] | None = {} if responses else None
        self._redact = Redact()

    @classmethod
    def from_options(cls, options: GuardOptions) -> LogGuard:
        """Build it as its table says."""
        return cls(responses=flag_of(options, "responses"))

    async def enter(self, call: Call) -> None:
        """Let everything in."""
        if self._texts is not None:
            call.listeners += (_keeping(self._texts.setdefault(id(call), [])),)

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Write the line."""
        texts = self._texts.pop(id(call), []) if self._texts is not None else None
        if not logger.isEnabledFor(logging.INFO):
            return
        line = line_of(call, outcome)
        if texts is not None:
            text = "".join(texts) if outcome.reply is None else _text_of(outcome.reply.body)
            line["response"] = self._redact.clean(text[: LONGEST + KEY])[:LONGEST]
            if len(text) > LONGEST:
                line["response_cut"] = True
        logger.info("%s", json_line(line))


def _keeping(texts: list[str]) -> Callable[[Sequence[Chunk]], None]:
    """Listen to the beginning of a stream."""
    left = LONGEST + KEY

    def listen(batch: Sequence[Chunk]) -> None:
        nonlocal left
        for chunk in batch if left > 0 else ():
            text = chunk.text
            texts.append(text[:left])
            left -= len(text)

    return listen


def _text_of(body: Mapping[str, Any]) -> str:
    """Give the text of an answer that is one."""
    choices = body.get("choices")
    message = choices[0].get("message") if isinstance(choices, list) and choices else None
    return str(message.get("content") or "") if isinstance(message, Mapping) else ""


def json_line(fields: Mapping[str, Any]) -> str:
    """Write one line of JSON that no terminal obeys and no reader splits, whatever a caller put into it."""
    return to_json(fields, ensure_ascii=True).decode().replace("\x7f", "\\u007f")


def _buckets(usage: Usage) -> dict[str, Any]:
    """Name what was used; rare buckets where there is something in them, and where it is no report, that it is none."""
    more = ("cache_write", "reasoning", "images", "image_input", "image_output", "tier")
    counts = {"input": usage.input, "output": usage.output, "cached": usage.cached}
    counts |= {name: value for name in more if (value := getattr(usage, name))}
    return counts if usage.source == "reported" else {**counts, "source": usage.source}


def line_of(call: Call, outcome: Outcome) -> dict[str, Any]:
    """Give the line's fields."""
    steps = call.trace.steps
    # Who held the answer when the call ended; nobody, if it never reached content.
    answered = steps[-1] if steps and outcome.state != "failed" else None
    if isinstance(outcome.error, ProviderError):  # it broke off; who was asked to go on after it held nothing
        broke = f"{outcome.error.provider}/{outcome.error.model}"
        answered = next((s for s in reversed(steps) if s.target == broke), answered) if answered else None
    line: dict[str, Any] = {
        "request_id": call.id,
        "caller": call.caller.name,
        "operation": call.operation,
        "asked": call.trace.asked,
        "target": answered.target if answered else None,
        "key": answered.key if answered else None,
        "outcome": outcome.state,
        "attempts": len(steps),
        "failed": [f"{step.target}: {step.outcome}" for step in steps if step is not answered],
        "ms": round(outcome.seconds * 1000, 1),
    }
    if call.trace.dropped:
        line["not_asked"] = [f"{target}: {reason}" for target, _, reason in call.trace.dropped]
    if outcome.first_content is not None:
        line["first_content_ms"] = round(outcome.first_content * 1000, 1)
    if outcome.usage is not None and outcome.usage.source != "unknown":
        line["usage"] = _buckets(outcome.usage)
    billed = [step.cost for step in steps if step.billed != "no"]
    if billed:
        cost = Decision("", "", (), steps=tuple(steps)).cost
        line["cost"] = {"usd": None if cost.dollars is None else f"{cost.dollars:f}", "source": cost.source}
    if outcome.error is not None:
        line["error"] = getattr(outcome.error, "code", None)
    return line
