"""What rows look for in an answer."""

from __future__ import annotations

from .ask import Answer
from .scripts import answers
from .vendor import Script
from .wall import Stage

__all__ = ["QUICK", "begin", "roles", "whole", "whole_or_error"]

QUICK = 3.0  # seconds that count as at once, on a busy machine too


def whole(answer: Answer, stage: Stage, *vendors: str) -> bool:
    """Tell whether it is the whole answer of one of these vendors, and says so."""
    return answer.ok and any(
        (answer.text, answer.provider, answer.finish) == (stage.vendors[name].text, name, "stop") for name in vendors
    )


def whole_or_error(answer: Answer, stage: Stage) -> bool:
    """Tell whether nobody could take it for more than it is."""
    if answer.ok:
        return whole(answer, stage, "primary", "fallback")
    return bool(answer.message) and answer.error in {"stream_interrupted", "no_answer", "overloaded"}


def roles(answer: Answer) -> int:
    """Count the chunks of a stream that begin an answer."""
    deltas = [choice.get("delta") or {} for chunk in answer.chunks for choice in chunk.get("choices") or ()]
    return sum("role" in delta for delta in deltas)


def begin(stage: Stage, *scripts: Script) -> None:
    """Let the primary play, and the fallback be well."""
    stage.primary.plays(*scripts)
    stage.fallback.plays(answers())
