"""The stand-in for Groq: strict about properties, usage twice, a tool call in one piece."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ._openai import PARAMETERS
from ._responses import Responses
from ._server import Request
from ._speech import Chat, Speech, speak
from ._vendors import CREATED, DONE, Event, RefusalError, Response, StandIn, Stream, duration, event

__all__ = ["Groq"]

UNSUPPORTED = frozenset({"logprobs", "top_logprobs", "logit_bias"})
EXTRAS = {
    "citation_options",
    "compound_custom",
    "disable_tool_validation",
    "documents",
    "exclude_domains",
    "include_domains",
    "include_reasoning",
    "reasoning_format",
    "search_settings",
}
KNOWN = (PARAMETERS | EXTRAS) - UNSUPPORTED
PROPERTIES = {
    "system": frozenset({"role", "content"}),
    "developer": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "reasoning"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
FORMATS = ("parsed", "raw", "hidden")
MOST_TOOLS = 128
MOST = {"n": 1, "temperature": 2, "top_p": 1}
LIMITS = {"openai/gpt-oss": (131072, 65536), "qwen/": (131072, 16384), "groq/": (131072, 8192)}
FINGERPRINT = "fp_0d4c11b7e2"
BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
FAILURES: dict[int, tuple[str, str | None, str]] = {  # status -> (type, code, message)
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Invalid API Key"),
    403: ("permissions_error", "model_permission_blocked_org", "The model is blocked at the organization level."),
    413: (
        "tokens",
        "rate_limit_exceeded",
        "Request too large for this model. Please reduce your message size and try again.",
    ),
    422: (
        "invalid_request_error",
        None,
        "The request was well-formed but could not be followed due to semantic errors.",
    ),
    498: ("invalid_request_error", "capacity_exceeded", "The flex tier is at capacity. Please try again later."),
    500: ("internal_server_error", None, "Internal Server Error"),
    502: ("internal_server_error", None, "Bad Gateway"),
    503: (
        "internal_server_error",
        None,
        "Service unavailable. The model is currently over capacity. Please try again and back off.",
    ),
}


class Groq(StandIn):
    """api.groq.com."""

    name = "groq"
    title = "Groq"
    base_path = "/openai/v1"
    error_event = "error"
    chat_paths = ("/openai/v1/chat/completions",)
    models_paths = ("/openai/v1/models",)
    operations = {"/openai/v1/responses": Responses()}  # noqa: RUF012  # a ClassVar of its base
    model_names = (
        "openai/gpt-oss-120b",
        "openai/gpt-oss-20b",
        "openai/gpt-oss-safeguard-20b",
        "qwen/qwen3.6-27b",
        "qwen/qwen3.8-27b",
        "groq/compound",
        "groq/compound-mini",
    )

    # -- what it refuses --------------------------------------------------------------------

    def check(self, chat: Chat) -> None:
        """Refuse what Groq refuses."""
        for name in chat.body:
            if name not in KNOWN:
                raise self._refused(f"property '{name}' is unsupported")
        for index, message in enumerate(chat.messages):
            self._check_message(index, message)
        for name, most in MOST.items():
            value = chat.number(name)
            if value is not None and value > most:
                raise self._refused(f"'{name}' : number must be at most {most}")
        if len(chat.body.get("tools") or ()) > MOST_TOOLS:
            raise self._refused(f"'tools' : maximum number of items is {MOST_TOOLS}")
        if chat.model not in self.model_names:
            raise RefusalError(self.failing(404, chat.model))
        self._check_reasoning(chat)

    def _check_message(self, index: int, message: dict[str, Any]) -> None:
        role = message["role"]
        if role not in PROPERTIES:
            raise self._refused(f"'messages.{index}' : discriminator property 'role' has invalid value")
        for name in message:
            if name not in PROPERTIES[role]:
                why = f"('messages.{index}' : property '{name}' is unsupported)"
                raise self._refused(f"'messages.{index}' : for 'role:{role}' the following must be satisfied[{why}]")

    def _check_reasoning(self, chat: Chat) -> None:
        style = chat.body.get("reasoning_format")
        if style is not None and chat.body.get("include_reasoning") is not None:
            raise self._refused("cannot specify both `reasoning_format` and `include_reasoning`")
        if style is not None and style not in FORMATS:
            raise self._refused("'reasoning_format' : value must be one of `parsed`, `raw`, `hidden`")
        effort = chat.body.get("reasoning_effort")
        known = (
            ("low", "medium", "high")
            if "gpt-oss" in chat.model
            else ("none", "default")
            if "qwen" in chat.model
            else ()
        )
        if effort is not None and effort not in known:
            names = ", ".join(f"`{one}`" for one in known)
            raise self._refused(
                f"`reasoning_effort` must be one of {names}"
                if known
                else "`reasoning_effort` is not supported with this model"
            )

    def _refused(self, message: str) -> RefusalError:
        return RefusalError(self.bad_request(message))

    # -- what it says -----------------------------------------------------------------------

    def chat(self, chat: Chat) -> Response | Stream:
        """Answer, with thoughts as the request wants them."""
        limit = chat.number("max_completion_tokens") or chat.number("max_tokens")
        structured = chat.format in {"json_object", "json_schema"}
        said = speak(chat, self.title, reasons=_thinks(chat), limit=limit, structured=structured)
        request_id = self._request_id()
        frame = {
            "id": f"chatcmpl-{self._uuid()}",
            "created": CREATED,
            "model": said.model,
            "system_fingerprint": FINGERPRINT,
        }
        headers = {**self.head(200), "x-request-id": request_id}
        raw = chat.body.get("reasoning_format") == "raw"
        if chat.stream:
            head = {"content-type": "text/event-stream", "cache-control": "no-cache", **headers}
            return Stream(head, self._events(frame, said, request_id, raw=raw))
        choice = {"index": 0, "message": self._message(said, raw=raw), "logprobs": None, "finish_reason": said.finish}
        tail = {"usage": _usage(said), "usage_breakdown": None, "x_groq": {"id": request_id, "seed": self._seed()}}
        body = {**frame, "object": "chat.completion", "choices": [choice], **tail, "service_tier": "on_demand"}
        found = self.json(200, body)
        return Response(200, {**found.headers, **headers}, found.body)

    def _message(self, said: Speech, *, raw: bool) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant"}
        if said.call is None:  # a message with a tool call has no content at all
            message["content"] = said.content
        if said.reasoning and raw:
            message["content"] = f"<think>\n{said.thought}\n</think>\n\n{said.content}"
        elif said.reasoning:
            message["reasoning"] = said.thought
        if said.call is not None:
            message["tool_calls"] = [self._call(said)]
        return message

    def _events(self, frame: dict[str, Any], said: Speech, request_id: str, *, raw: bool) -> Iterator[Event]:
        def chunk(delta: dict[str, Any], finish: str | None = None, **extra: object) -> dict[str, Any]:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return {**frame, "object": "chat.completion.chunk", "choices": [choice], **extra}

        yield event(chunk({"role": "assistant", "content": ""}, x_groq={"id": request_id, "seed": self._seed()}))
        for delta in self._deltas(said, raw=raw):
            yield event(chunk(delta), "content")
        usage = _usage(said)
        yield event(chunk({}, said.finish, x_groq={"id": request_id, "usage": usage}, usage=usage), "finish")
        yield DONE

    def _deltas(self, said: Speech, *, raw: bool) -> Iterator[dict[str, Any]]:
        if said.reasoning and raw:
            yield from ({"content": piece} for piece in ("<think>\n", *said.reasoning, "\n</think>\n\n"))
        elif said.reasoning:
            channel = {"channel": "analysis"} if "gpt-oss" in said.model else {}
            yield from ({"reasoning": piece, **channel} for piece in said.reasoning)
        yield from ({"content": piece} for piece in said.text)
        if said.call is not None:
            yield {"tool_calls": [{**self._call(said), "index": 0}]}

    def _call(self, said: Speech) -> dict[str, Any]:
        call = said.call
        function = {"name": call.name, "arguments": call.arguments} if call else {}
        return {"id": f"fc_{self._uuid()}", "type": "function", "function": function}

    def _uuid(self) -> str:
        return "-".join(self.identifier(size) for size in (8, 4, 4, 4, 12))

    def _request_id(self) -> str:
        return f"req_01{self.identifier(24, BASE32)}"

    def _seed(self) -> int:
        return self.random.randrange(10**8)

    def head(self, status: int) -> dict[str, str]:
        """Name a request id and a region always, the limits on answers."""
        ids = {"x-request-id": self._request_id(), "x-groq-region": "fra", "cf-ray": f"{self.identifier(16)}-FRA"}
        return {**ids, **_limits()} if status == 200 else ids

    def model_entry(self, name: str) -> dict[str, Any]:
        """With its window and longest answer."""
        window, most = next(sizes for prefix, sizes in LIMITS.items() if name.startswith(prefix))
        entry = {
            "id": name,
            "object": "model",
            "created": 1754408224,
            "owned_by": name.partition("/")[0],
            "active": True,
        }
        return {**entry, "context_window": window, "public_apps": None, "max_completion_tokens": most}

    # -- how it fails -----------------------------------------------------------------------

    def unauthorized(self, key: str) -> Response:
        """401."""
        return self.failing(401, "")

    def bad_request(self, message: str) -> Response:
        """400 without a code."""
        return self._error(400, "invalid_request_error", message)

    def failing(self, status: int, model: str) -> Response:
        """Any status in its one error form."""
        if status == 429:
            return self.rate_limited(1, model)
        if status == 404:
            message = f"The model `{model}` does not exist or you do not have access to it."
            return self._error(404, "invalid_request_error", message, "model_not_found")
        kind, code, message = FAILURES.get(status, FAILURES[500] if status >= 500 else FAILURES[400])
        return self._error(status, kind, message, code)

    def rate_limited(self, seconds: float, model: str) -> Response:
        """429: tokens per minute, or requests per day when the wait is longer than a minute."""
        wait, daily = duration(seconds), seconds > 60
        what = "requests per day (RPD): Limit 1000, Used 1000, Requested 1"
        if not daily:
            what = "tokens per minute (TPM): Limit 8000, Used 7350, Requested 1286"
        message = (
            f"Rate limit reached for model `{model or 'this model'}` in organization `org_01exampleexample` "
            f"service tier `on_demand` on {what}. Please try again in {wait}. "
            "Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing"
        )
        response = self._error(429, "requests" if daily else "tokens", message, "rate_limit_exceeded")
        limits = _limits(requests="0", reset_requests=wait) if daily else _limits(tokens="650", reset_tokens=wait)
        return Response(429, {**response.headers, **limits, "retry-after": str(math.ceil(seconds))}, response.body)

    def no_money(self, model: str, *, stream: bool) -> Response:
        """Say the nearest thing Groq has: the organization may not ask any more."""
        message = "Organization has been restricted. Please reach out to support if you believe this was in error."
        return self._error(400, "invalid_request_error", message, "organization_restricted")

    def unknown_path(self, request: Request) -> Response:
        """404 that names the path."""
        message = f"Unknown request URL: {request.method} {request.path}. Please check the URL for typos."
        return self._error(404, "invalid_request_error", message, "unknown_url")

    def _error(self, status: int, kind: str, message: str, code: str | None = None) -> Response:
        error = {"message": message, "type": kind} | ({} if code is None else {"code": code})
        return self.json(status, {"error": error})


def _thinks(chat: Chat) -> bool:
    if chat.model.startswith("groq/") or chat.body.get("reasoning_effort") == "none":
        return False
    return chat.body.get("include_reasoning") is not False and chat.body.get("reasoning_format") != "hidden"


def _usage(said: Speech) -> dict[str, Any]:
    """Give the usage with its timings; details objects only when there is something in them."""
    usage: dict[str, Any] = {
        "queue_time": 0.0312,
        "prompt_tokens": said.prompt_tokens,
        "prompt_time": 0.0091,
        "completion_tokens": said.completion_tokens,
        "completion_time": 0.0524,
        "total_tokens": said.prompt_tokens + said.completion_tokens,
        "total_time": 0.0615,
    }
    if said.cached_tokens:
        usage["prompt_tokens_details"] = {"cached_tokens": said.cached_tokens}
    if said.reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": len(said.reasoning)}
    return usage


def _limits(
    requests: str = "14370", tokens: str = "248214", reset_requests: str = "2m59.56s", reset_tokens: str = "428.64ms"
) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "14400",
        "x-ratelimit-limit-tokens": "250000",
        "x-ratelimit-remaining-requests": requests,
        "x-ratelimit-remaining-tokens": tokens,
        "x-ratelimit-reset-requests": reset_requests,
        "x-ratelimit-reset-tokens": reset_tokens,
    }
