"""Why calls went where they went: the last ones, one of them, and a dry run."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, unquote

from pydantic_core import to_json

from ..errors import RequestError
from ..gateway import Gateway
from ..secrets import without_keys
from ..types import ChatRequest, Decision
from ._as_caller import explain_as
from ._incoming import Incoming
from ._who import Inside

__all__ = ["Explain", "LastDecisions", "OneDecision"]

# Rows of a list: as a rule, and at most.
SOME, MOST = 20, 1000
NOTHING = ({"role": "user", "content": ""},)


class LastDecisions:
    """Answer GET /admin/decisions?limit=20: a row for each of the last calls of this process, newest first."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """List them."""
        text = _query(request, "limit") or str(SOME)
        if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MOST):
            raise RequestError(f"'limit' must be a number from 1 to {MOST}.", param="limit")
        rows = [_row(decision) for decision in self._gateway.decisions.last(int(text))]
        await request.answer(to_json({"decisions": rows, "kept": self._gateway.decisions.keep}))


class OneDecision:
    """Answer GET /admin/decisions/{request_id}: the record, and what it says in sentences."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """Give one. Raises RequestError: this process does not have it."""
        name = unquote(str(request.scope["path_params"]["request_id"]))
        decision = self._gateway.decisions.find(name)
        if decision is None:
            raise _not_kept(name, self._gateway)
        await request.answer(_told(decision))


class Explain:
    """Answer GET /admin/explain?model=NAME, and POST with a chat request: where it would go now, asking nobody.

    `caller=NAME` in the query asks for a client key of that name, else it is the operator who asks.
    """

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway
        self._who = inside.who

    async def __call__(self, request: Incoming) -> None:
        """Run it dry, on what this process knows at the moment."""
        if request.scope["method"] == "POST":
            asked = ChatRequest.parse_json(await request.body())
        else:
            asked = ChatRequest.parse({"model": _query(request, "model"), "messages": NOTHING})
        caller = _query(request, "caller")
        explained = explain_as(self._gateway, self._who, asked, caller) if caller else None
        await request.answer(_told(explained or self._gateway.explain(asked.model, asked)))


def _told(decision: Decision) -> bytes:
    record = json.loads(decision.to_json(without_keys))
    return to_json({"decision": record, "explained": without_keys(decision.explain())})


def _row(decision: Decision) -> dict[str, Any]:
    dollars = decision.cost.dollars
    return {
        "id": decision.id,
        "at": round(decision.at, 3),
        "asked": without_keys(decision.asked),
        "caller": decision.caller,
        "operation": decision.operation,
        "state": decision.ended.state,
        "status": decision.ended.status or None,
        "answered_by": decision.answered_by,
        "attempts": decision.attempts,
        "seconds": round(decision.ended.seconds, 3),
        "cost": {"usd": None if dollars is None else f"{dollars:f}", "source": decision.cost.source},
    }


def _query(request: Incoming, name: str) -> str:
    found = parse_qs(bytes(request.scope.get("query_string", b""))[:4096].decode("latin-1")).get(name)
    return found[0] if found else ""


def _not_kept(name: str, gateway: Gateway) -> RequestError:
    if not gateway.decisions.keep:
        why = "None are kept: set decisions.keep."
    else:
        why = (
            f"Each process keeps its last {gateway.decisions.keep} (decisions.keep). Of several workers another one "
            "may have it: ask again. decisions.file keeps all."
        )
    return RequestError(f"there is no decision of request {name[:128]!r} here. {why}", status=404, code="not_kept")
