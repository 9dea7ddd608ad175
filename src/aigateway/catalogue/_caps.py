"""The operator's caps on what one request may ask, whatever its model could do."""

from __future__ import annotations

from ..errors import RequestError
from ..types import ChatRequest, Target
from ._estimate import Estimator, size_of

__all__ = ["check_caps"]

ASKED = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def check_caps(request: ChatRequest, *, output: int | None = None, context: int | None = None) -> None:
    """Hold caps in tokens, for the fields of single providers too; the input is estimated. Raises RequestError."""
    asked, param = _asked(request)
    if output is not None and asked > output:
        raise RequestError(f"{param!r} is above this gateway's cap of {output}. Ask for {output} or less.", param=param)
    if context is None:
        return
    read = Estimator().input(Target("", ""), size_of(request.body))
    if read + asked > context:
        raise RequestError(
            f"this request is about {read} tokens and asks for {asked:.0f} more, above this gateway's cap of {context} "
            "for both together (max_context_length). Send or ask for less.",
            param="messages" if read > context else param or "messages",
            code="context_length_exceeded",
        )


def _asked(request: ChatRequest) -> tuple[float, str]:
    """Give the most tokens any field asks for, and that field."""
    most, param = 0.0, ""
    for fields in (request.native or {}, request.body, *request.extra.values()):
        for name in ASKED:
            value = fields.get(name, 0)
            if isinstance(value, int | float) and value > most:
                most, param = value, name
    return most, param
