"""MiniMax's failures: three forms, one code space, inside and outside HTTP 200.

Codes: platform.minimax.io, errorcode page; the HTTP statuses and types beside them: user reports.
A code is compared with codes only: 1008 is "no money", not "a status above 500".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aigateway.errors import Kind
from aigateway.providers import ErrorBody, Rule, read_error
from aigateway.types import WireFailure

__all__ = ["RULES", "base_code", "read_failure"]

BRACKETS = re.compile(r"\((\d{4})\)\s*$", re.ASCII)

CODES: Mapping[Kind, tuple[str, ...]] = {
    Kind.SERVER_ERROR: ("1000", "1024", "1033"),
    Kind.TIMEOUT: ("1001",),
    Kind.RATE_LIMIT: ("1002", "1039", "1041", "2045"),
    Kind.AUTH: ("1004", "2049"),
    Kind.INSUFFICIENT_FUNDS: ("1008",),
    Kind.QUOTA_EXHAUSTED: ("2056",),  # the usage window of a subscription; its message names the reset
    Kind.CONTENT_POLICY: ("1026", "1027"),
    Kind.BAD_REQUEST: ("1042", "2013"),
    Kind.OVERLOADED: ("2064",),
}
TYPES: Mapping[str, Kind] = {
    "rate_limit_error": Kind.RATE_LIMIT,
    "authorized_error": Kind.AUTH,
    "insufficient_balance_error": Kind.INSUFFICIENT_FUNDS,
    "bad_request_error": Kind.BAD_REQUEST,
    "overloaded_error": Kind.OVERLOADED,
    "api_error": Kind.SERVER_ERROR,
}
RULES = (
    Rule(Kind.CONTEXT_LENGTH, code="2013", message=r"context window"),
    Rule(Kind.MODEL_NOT_FOUND, code="2013", message=r"unknown model"),
    *(Rule(kind, code=code) for kind, codes in CODES.items() for code in codes),
    *(Rule(kind, type=name) for name, kind in TYPES.items()),
)


def base_code(body: Mapping[str, Any]) -> str:
    """Give the code of `base_resp`; empty where all is well."""
    base = body.get("base_resp")
    code = base.get("status_code") if isinstance(base, Mapping) else None
    return "" if code in (None, 0, "0", "") else str(code)[:16]


def read_failure(failure: WireFailure) -> ErrorBody:
    """Read an error: the code of `base_resp`, else the one in brackets that ends the message."""
    body = read_error(failure)
    code = base_code(body.fields)
    if code:
        said = body.fields["base_resp"].get("status_msg")
        return replace(body, code=code, message=said if isinstance(said, str) else "")
    found = BRACKETS.search(body.message[-64:])
    return replace(body, code=found[1]) if found else body
