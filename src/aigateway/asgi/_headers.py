"""What the head of an answer says of it: who answered, how much work it was, what it cost, what to know."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ..exchange import Exchange
from ..gateway import Gateway
from ..types import Usage
from ._incoming import Incoming

__all__ = ["AnswerHeaders"]

PICO = 10**12  # costs are counted in picodollars
LONGEST_WARNING = 1024
# Where the answers are, for each operation in which `n` asks for several.
ANSWERS: Mapping[str, str] = {"chat": "choices", "completions": "choices", "images": "data"}


class AnswerHeaders:
    """Write the headers of answers."""

    def __init__(self, gateway: Gateway) -> None:
        self._providers = gateway.parts.providers
        self._prefix = "sandbox/" if gateway.settings.sandbox else ""

    def __call__(self, request: Incoming, exchange: Exchange, parsed: float) -> dict[str, str]:
        """Give them for an answer that begins now; `parsed` is how many seconds it took to read the request."""
        call, target, trace = exchange.call, exchange.target, exchange.call.trace
        headers = {
            "x-aigateway-provider": self._prefix + target.provider,
            "x-aigateway-model": target.model,
            "x-aigateway-attempts": str(len(trace.steps) + 1),
            "x-aigateway-overhead-ms": f"{(parsed + exchange.started - call.started) * 1000:.2f}",
            "openai-processing-ms": str(int((time.monotonic() - request.started) * 1000)),
        }
        if exchange.reply is not None and (cost := _cost(exchange, exchange.reply.usage)):
            headers["x-aigateway-cost"] = cost
        if call.request.body.get("n", 1) != 1:
            self._warn_of_fewer(exchange, call.request.body["n"])
        if trace.warnings:
            headers["x-aigateway-warning"] = "; ".join(trace.warnings)[:LONGEST_WARNING]
        return headers

    def _warn_of_fewer(self, exchange: Exchange, asked: int) -> None:
        """Say that a vendor gives fewer answers than `n` asks for, which some do without a word.

        Of a stream that can be said in time only where it is known of the vendor.
        """
        operation, target = exchange.call.operation, exchange.target
        if operation not in ANSWERS:
            return
        if exchange.reply is not None:
            given = len(exchange.reply.body.get(ANSWERS[operation]) or ())
        else:
            given = 1 if getattr(self._providers.get(target.provider), "one_choice", False) else asked
        if given < asked:
            exchange.call.trace.warnings.append(f"{asked} answers were asked for, and {target} gave {given}")


def _cost(exchange: Exchange, usage: Usage) -> str:
    """Write what a whole answer cost in US dollars, all its calls together; empty unless it is known, not guessed."""
    costs = [exchange.bill.cost(usage)]
    costs += [step.cost for step in exchange.call.trace.steps if step.billed != "no"]
    total = 0
    for amount, source in costs:
        if amount is None or source == "estimated":
            return ""
        total += amount
    dollars, rest = divmod(total, PICO)
    return f"{dollars}.{rest:012d}".rstrip("0").rstrip(".")
