"""Tell what a failure is: a table of rules first, the HTTP status last.

Status alone never decides: vendors fail inside a 200, and say "no money" with four statuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import from_json

from ..errors import REMEDIES, Kind, ProviderError, Remedy, Vendor
from ..secrets import mask
from ..types import WireFailure
from ._waits import wait_time

__all__ = ["ErrorBody", "Rule", "by_status", "classify", "read_error"]

# What is left of a key in "Your api key: ****0f3a is invalid".
FRAGMENT = re.compile(r"\*{3,}\S*")
# An HTTP status where a success says that it is none.
STATUS = re.compile(r"[45]\d\d", re.ASCII)
# A limit on the day: it is not over in a moment, however short the wait that is named with it.
DAILY = re.compile(r"per[ -]day\b|\((?:TPD|RPD)\)", re.IGNORECASE)
# A wait longer than this is not worth keeping the same key for: rest it and go on.
SHORT_WAIT = 10.0
# Words are kept this long until whoever knows the key has masked it: a cut first might leave a part of it.
UNCUT = 512


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error body says, whatever its shape: JSON, text, HTML or nothing."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str | None = None
    request_id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a vendor's error table; every given condition must hold.

    `message` is searched for, without regard to case, in the vendor's message.
    """

    kind: Kind
    status: int | None = None
    code: str | None = None
    type: str | None = None
    message: str | None = None
    remedy: Remedy | None = None

    def matches(self, status: int, body: ErrorBody) -> bool:
        """Tell whether this row describes the failure."""
        return (
            (self.status is None or self.status == status)
            and (self.code is None or self.code == body.code)
            and (self.type is None or self.type == body.type)
            and (self.message is None or re.search(self.message, body.message[:4096], re.IGNORECASE) is not None)
        )


def read_error(failure: WireFailure) -> ErrorBody:
    """Read the error of a body or an event; never raises, trusts no shape."""
    parsed: Any = failure.event
    if parsed is None and failure.body:
        try:
            parsed = from_json(failure.body)
        except ValueError:
            text = failure.body[:4096].decode("utf-8", "replace")
            return ErrorBody(message="" if "<html" in text[:512].lower() else text)
    if not isinstance(parsed, Mapping):
        return ErrorBody(message=str(parsed)[:4096] if isinstance(parsed, str) else "")
    inner = parsed.get("error", parsed)
    request_id = _word(parsed.get("request_id")) or None
    if isinstance(inner, str):
        return ErrorBody(message=inner, request_id=request_id, fields=parsed)
    if not isinstance(inner, Mapping):
        return ErrorBody(request_id=request_id, fields=parsed)
    details = inner.get("metadata")  # OpenRouter's own word, more exact than its code
    exact = _word(details.get("error_type")) if isinstance(details, Mapping) else ""
    return ErrorBody(
        message=_word(inner.get("message")),
        type=_word(inner.get("type")),
        code=exact or _word(inner.get("code")),
        param=_word(inner.get("param")) or None,
        request_id=request_id,
        fields=parsed,
    )


def classify(failure: WireFailure, body: ErrorBody, rules: Sequence[Rule]) -> ProviderError:
    """Build the error by the first row that matches, else by status, else by what its type usually means."""
    status = failure.status
    if 200 <= status < 300:
        status = _said_status(body) or status
    rule = next((rule for rule in rules if rule.matches(status, body)), None)
    kind = rule.kind if rule else _usual(status, body)
    wait = wait_time(failure.headers, body.message, now=failure.at, resets=kind is Kind.RATE_LIMIT)
    return ProviderError(
        kind,
        mask(FRAGMENT.sub("***", body.message[:UNCUT]), limit=UNCUT)
        or f"the provider answered with status {failure.status} and no reason",
        remedy=_remedy(rule.remedy if rule and rule.remedy else REMEDIES[kind], kind, failure, body, wait),
        retry_after=wait,
        vendor=Vendor(
            status=status,
            code=mask(body.code, limit=UNCUT) or None,
            param=mask(body.param, limit=UNCUT) if body.param else None,
            request_id=mask(failure.headers.get("x-request-id") or body.request_id or "", limit=128) or None,
        ),
    )


def _remedy(remedy: Remedy, kind: Kind, failure: WireFailure, body: ErrorBody, wait: float | None) -> Remedy:
    """Take back what this failure does not allow: a long limit is not waited for, a plain no is one for every key."""
    if not remedy.again:
        return remedy
    if failure.headers.get("x-should-retry", "").strip().lower() == "false":
        return replace(remedy, again=False, other_key="no")
    long = wait is not None and wait > SHORT_WAIT
    if kind is Kind.RATE_LIMIT and (long or DAILY.search(body.message[:4096])):
        return replace(remedy, again=False)
    return remedy


def _usual(status: int, body: ErrorBody) -> Kind:
    """Guess where no rule knows better."""
    if not 200 <= status < 300:
        return by_status(status)
    if body.type in TYPES:
        return TYPES[body.type]
    said = body.message or body.code or body.type or body.fields.get("error")
    return Kind.SERVER_ERROR if said else Kind.PROTOCOL_ERROR  # an error, said in a success


def _said_status(body: ErrorBody) -> int:
    """Find the HTTP status an error inside a success names (vLLM and OpenRouter in `code`); 0 without one."""
    inner = body.fields.get("error", body.fields)
    names = ("status_code", "http_code", "code") if isinstance(inner, Mapping) else ()
    return next((int(said) for name in names if STATUS.fullmatch(said := _word(inner.get(name)))), 0)


def by_status(status: int) -> Kind:
    """Guess from the status alone, when nothing else is known."""
    if status in STATUSES:
        return STATUSES[status]
    if 200 <= status < 400:
        return Kind.PROTOCOL_ERROR
    return Kind.SERVER_ERROR if status >= 500 else Kind.BAD_REQUEST


STATUSES = {
    401: Kind.AUTH,
    402: Kind.INSUFFICIENT_FUNDS,
    403: Kind.PERMISSION,
    404: Kind.MODEL_NOT_FOUND,
    408: Kind.TIMEOUT,
    409: Kind.OVERLOADED,
    412: Kind.INSUFFICIENT_FUNDS,  # Portkey: the key's budget is used up
    413: Kind.REQUEST_TOO_LARGE,
    429: Kind.RATE_LIMIT,
    446: Kind.CONTENT_POLICY,  # Portkey: a guardrail refused
    499: Kind.CANCELLED,
    503: Kind.OVERLOADED,
    504: Kind.TIMEOUT,
    529: Kind.OVERLOADED,
}

# What an error's type means where no status stands beside it: inside a success, in a stream.
TYPES = {
    "api_error": Kind.SERVER_ERROR,
    "authentication_error": Kind.AUTH,
    "billing_error": Kind.INSUFFICIENT_FUNDS,
    "insufficient_quota": Kind.INSUFFICIENT_FUNDS,
    "invalid_request_error": Kind.BAD_REQUEST,
    "not_found_error": Kind.MODEL_NOT_FOUND,
    "overloaded_error": Kind.OVERLOADED,
    "permission_error": Kind.PERMISSION,
    "rate_limit_error": Kind.RATE_LIMIT,
    "request_too_large": Kind.REQUEST_TOO_LARGE,
    "service_unavailable_error": Kind.OVERLOADED,
    "timeout_error": Kind.TIMEOUT,
}


def _word(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
