"""The tree of failures, each saying what may happen next.

GatewayError
├── ConfigurationError      start-up is refused: a person must change a setting
│   └── PluginError         one plug-in is broken or unknown; the others work
├── RequestError            the caller must change the request; nothing was sent
│   ├── UnknownModel        no route, provider or catalogue entry has that name
│   ├── Unauthenticated     no key, or an unknown one
│   ├── Forbidden           a known caller who may not do this
│   └── Refusal             a guard said no (a limit, a full house); maybe later
├── WireError               one transport failed below HTTP: connect, timeout, protocol
├── ProviderError           one call to one provider failed; `remedy` says what may be tried
│   └── StreamInterrupted   the answer broke after its first content; carries what arrived
└── NoAnswer                nobody who could be asked answered; an exception group of ProviderErrors
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, isfinite
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from .types import Decision, Trace, Usage

__all__ = [
    "CALLER_CAUSED", "ConfigurationError", "Forbidden", "GatewayError", "Kind", "NoAnswer", "PluginError",
    "ProviderError", "Refusal", "Remedy", "RequestError", "Scope", "StreamInterrupted", "Unauthenticated",
    "UnknownModel", "Vendor", "WireError",
]  # fmt: skip  # a list of names


class Kind(StrEnum):
    """What went wrong, in one word."""

    CONNECT = "connect"
    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    QUOTA_EXHAUSTED = "quota_exhausted"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    AUTH = "auth"
    PERMISSION = "permission"
    MODEL_NOT_FOUND = "model_not_found"
    REQUEST_TOO_LARGE = "request_too_large"
    CONTEXT_LENGTH = "context_length"
    BAD_REQUEST = "bad_request"
    UNSUPPORTED_PARAM = "unsupported_param"
    CONTENT_POLICY = "content_policy"
    TOOL_USE_FAILED = "tool_use_failed"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    PROTOCOL_ERROR = "protocol_error"
    STREAM_INTERRUPTED = "stream_interrupted"
    CANCELLED = "cancelled"


class Scope(StrEnum):
    """What is bad: the smallest thing that has to rest, or the request itself."""

    REQUEST = "request"
    KEY = "key"
    QUOTA_GROUP = "quota_group"
    MODEL = "model"
    PROVIDER = "provider"


OtherKey = Literal["no", "other_group", "any"]
OtherTarget = Literal["no", "conditional", "yes"]
RestState = Literal["ok", "cooldown", "suspended", "disabled"]
Billed = Literal["no", "maybe", "yes"]


@dataclass(frozen=True, slots=True)
class Remedy:
    """What may happen after a failure; the loops read it and decide nothing themselves.

    `again` allows the same key after a wait. `conditional` in `other_target` means that only
    some targets can help: a larger window, a model with the missing ability, or nobody once
    content has reached the caller.
    """

    again: bool = False
    other_key: OtherKey = "no"
    other_target: OtherTarget = "no"
    rest: RestState = "ok"
    scope: Scope = Scope.REQUEST
    billed: Billed = "no"


# The table "error -> action"; a plug-in overrides a row where its vendor differs.
REMEDIES: Mapping[Kind, Remedy] = {
    Kind.CONNECT: Remedy(True, "no", "yes", "ok", Scope.PROVIDER),
    Kind.TIMEOUT: Remedy(True, "no", "yes", "ok", Scope.MODEL, "maybe"),
    Kind.RATE_LIMIT: Remedy(True, "other_group", "yes", "cooldown", Scope.QUOTA_GROUP),
    Kind.QUOTA_EXHAUSTED: Remedy(False, "other_group", "yes", "suspended", Scope.QUOTA_GROUP),
    Kind.INSUFFICIENT_FUNDS: Remedy(False, "other_group", "yes", "suspended", Scope.QUOTA_GROUP),
    Kind.AUTH: Remedy(False, "any", "yes", "disabled", Scope.KEY),
    Kind.PERMISSION: Remedy(False, "other_group", "yes", "ok", Scope.MODEL),
    Kind.MODEL_NOT_FOUND: Remedy(False, "no", "yes", "ok", Scope.MODEL),
    Kind.REQUEST_TOO_LARGE: Remedy(False, "other_group", "yes", "ok", Scope.REQUEST),
    Kind.CONTEXT_LENGTH: Remedy(False, "no", "conditional"),
    Kind.BAD_REQUEST: Remedy(),
    Kind.UNSUPPORTED_PARAM: Remedy(),
    Kind.CONTENT_POLICY: Remedy(billed="maybe"),
    Kind.TOOL_USE_FAILED: Remedy(True, "no", "yes", "ok", Scope.REQUEST, "maybe"),
    Kind.OVERLOADED: Remedy(True, "no", "yes", "ok", Scope.MODEL, "maybe"),
    Kind.SERVER_ERROR: Remedy(True, "no", "yes", "ok", Scope.MODEL, "maybe"),
    Kind.PROTOCOL_ERROR: Remedy(True, "no", "yes", "ok", Scope.MODEL, "maybe"),
    Kind.STREAM_INTERRUPTED: Remedy(False, "no", "conditional", "ok", Scope.MODEL, "yes"),
    Kind.CANCELLED: Remedy(billed="maybe"),
}

# Kinds only the caller can mend, with the HTTP status the caller sees.
CALLER_CAUSED: Mapping[Kind, int] = {
    Kind.BAD_REQUEST: 400,
    Kind.UNSUPPORTED_PARAM: 400,
    Kind.CONTEXT_LENGTH: 400,
    Kind.CONTENT_POLICY: 400,
    Kind.REQUEST_TOO_LARGE: 413,
    Kind.MODEL_NOT_FOUND: 404,
}


class GatewayError(Exception):
    """Anything this library raises on purpose.

    `status`, `type`, `code` and `param` are what an OpenAI client is told over HTTP.
    """

    status: int = 500
    type: str = "server_error"
    code: str | None = None
    param: str | None = None
    trace: Trace | None = None
    _decision: Decision | None = None

    @property
    def message(self) -> str:
        """Say what happened, why, and what to do; safe to show to a caller."""
        return str(self.args[0]) if self.args else type(self).__name__

    @property
    def decision(self) -> Decision | None:
        """Tell what was tried, once there is something to tell; made when it is asked for."""
        return self._decision or (self.trace.freeze() if self.trace is not None else None)

    @decision.setter
    def decision(self, decision: Decision | None) -> None:
        self._decision = decision

    def forget_frames(self) -> Self:
        """Let go of the frames it came through, which hold the request, and often the error itself."""
        self.__traceback__ = self.__context__ = None
        return self

    @property
    def headers(self) -> dict[str, str]:
        """Give the response headers that go with it."""
        return {}


class ConfigurationError(GatewayError):
    """A setting is wrong or missing; start-up is refused."""


class PluginError(ConfigurationError):
    """A plug-in is broken, unknown or in conflict with another."""

    def __init__(self, message: str, *, plugin: str) -> None:
        super().__init__(message)
        self.plugin = plugin


class RequestError(GatewayError):
    """The request cannot be served as it is; the caller must change it."""

    status = 400
    type = "invalid_request_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, status: int = 0) -> None:
        super().__init__(message)
        self.param = param
        self.code = code or self.code
        self.status = status or self.status
        if self.status == 504:
            self.type = "timeout_error"


class UnknownModel(RequestError):
    """Nothing configured answers to that model name."""

    status = 404
    code = "model_not_found"


class Unauthenticated(RequestError):
    """No client key was sent, or an unknown one; the body is the same for all of them. `reason` is for the log."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"
    reason: str = "missing or malformed"

    def because(self, reason: str) -> Self:
        """Note why, for the log."""
        self.reason = reason
        return self


class Forbidden(RequestError):
    """The caller is known and may not do this."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class Refusal(RequestError):
    """A guard refused the call; `retry_after` says in how many seconds it may pass."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(
        self,
        message: str,
        *,
        status: int = 429,
        code: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status)
        self.type = self.type if status == 429 else "server_error" if status >= 500 else RequestError.type
        self.retry_after = retry_after
        self._headers = dict(headers or {})

    @property
    def headers(self) -> dict[str, str]:
        """Give the limit headers and the wait."""
        return {**self._headers, **_wait_headers(self.retry_after)}


class WireError(GatewayError):
    """A transport failed; `kind` is connect, timeout, protocol_error or stream_interrupted."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Vendor:
    """What the vendor said, for people who debug; never shown to a caller as it is."""

    status: int | None = None
    code: str | None = None
    param: str | None = None
    request_id: str | None = None


class ProviderError(GatewayError):
    """One call to one provider failed.

    `retry_after` is in seconds, None when the vendor named no wait. `provider` and `model` are
    filled in where the call was made, not by whoever classified it. `began` says that content
    had arrived, though none had reached the caller. `sample` is the beginning of what could not be
    read, for the log alone.
    """

    provider: str | None = None
    model: str | None = None
    began: bool = False
    sample: bytes = b""

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        remedy: Remedy | None = None,
        retry_after: float | None = None,
        vendor: Vendor | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.remedy = remedy or REMEDIES[kind]
        self.retry_after = retry_after
        self.vendor = vendor or Vendor()
        self.param = self.vendor.param
        self.code = kind.value
        self.status = CALLER_CAUSED.get(kind, 502)
        self.type = "invalid_request_error" if kind in CALLER_CAUSED else "upstream_error"

    @property
    def may_have_cost(self) -> bool:
        """Tell whether the vendor may have counted this call as an answer."""
        return self.remedy.billed != "no"

    @property
    def is_blameless(self) -> bool:
        """Tell whether it says nothing about the target: the caller's doing, or the caller's time was up."""
        if self.kind is Kind.TIMEOUT:
            return self.remedy.scope is Scope.REQUEST
        return self.kind in CALLER_CAUSED or self.kind is Kind.CANCELLED

    def at(self, provider: str, model: str) -> Self:
        """Note where it happened."""
        self.provider, self.model = provider, model
        return self

    def __str__(self) -> str:
        where = f"{self.provider}/{self.model}: " if self.provider else ""
        return f"{where}{self.kind}: {self.message}"


class StreamInterrupted(ProviderError):
    """The answer broke off after its first content.

    `text`, `reasoning` and `usage` hold what had arrived; `cause` says how it broke, `cause_kind` in a word.
    """

    text: str = ""
    reasoning: str = ""
    usage: Usage | None = None

    def __init__(self, cause: ProviderError) -> None:
        super().__init__(
            Kind.STREAM_INTERRUPTED,
            f"the answer broke off before its end ({cause.kind}): {cause.message}",
            vendor=cause.vendor,
        )
        self.cause = cause
        self.cause_kind = cause.kind
        self.provider, self.model = cause.provider, cause.model

    def carrying(self, text: str, reasoning: str, usage: Usage | None) -> Self:
        """Keep what had arrived."""
        self.text, self.reasoning, self.usage = text, reasoning, usage
        return self


class NoAnswer(ExceptionGroup[ProviderError], GatewayError):
    """Nobody who could be asked answered; `exceptions` keeps each reason in order."""

    def __new__(cls, message: str, exceptions: Sequence[ProviderError]) -> Self:
        """Build the group; the last error the caller caused decides what the caller is told."""
        self = super().__new__(cls, message, exceptions)
        self._describe()
        return self

    def derive(self, excs: Sequence[ProviderError], /) -> NoAnswer:  # type: ignore[override]  # only ProviderErrors are inside
        """Keep the type when the group is split."""
        part = NoAnswer(self.message, excs)
        part.trace, part.decision = self.trace, self._decision
        return part

    def _describe(self) -> None:
        blamed = [e for e in self.exceptions if isinstance(e, ProviderError)]
        ours = [e for e in blamed if e.kind in CALLER_CAUSED]
        self.retry_after: float | None = None
        if ours:
            last = ours[-1]
            self.status, self.type = last.status, last.type
            self.code, self.param = last.code, last.param
        elif all(e.kind in {Kind.RATE_LIMIT, Kind.QUOTA_EXHAUSTED} for e in blamed):
            waits = [e.retry_after for e in blamed if e.retry_after is not None]
            self.status, self.type, self.code = 429, "rate_limit_error", "all_targets_limited"
            self.retry_after = min(waits, default=None)
        else:
            self.status, self.type, self.code = 503, "upstream_error", "no_answer"

    @property
    def reasons(self) -> list[dict[str, str | None]]:
        """List provider, model and kind of every failure; never keys or vendor bodies."""
        return [
            {"provider": e.provider, "model": e.model, "kind": str(e.kind)}
            for e in self.exceptions
            if isinstance(e, ProviderError)
        ]

    @property
    def headers(self) -> dict[str, str]:
        """Tell SDKs not to retry on top of us, and how long to wait."""
        return {"x-should-retry": "false", **_wait_headers(self.retry_after)}


def _wait_headers(seconds: float | None) -> dict[str, str]:
    if seconds is None or not isfinite(seconds):
        return {}
    milliseconds = ceil(seconds * 1000 - 1e-6)
    return {"retry-after": str(max(1, -(-milliseconds // 1000))), "retry-after-ms": str(milliseconds)}
