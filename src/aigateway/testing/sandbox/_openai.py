"""The stand-in for OpenAI: unknown parameters refused, usage only when asked for, padding on every chunk."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from typing import Any

from ._made import Embeddings, Images
from ._responses import Responses
from ._server import Request
from ._speech import Chat, Speech, pieces, speak
from ._vendors import CREATED, DONE, Event, RefusalError, Response, StandIn, Stream, duration, event, masked

__all__ = ["PARAMETERS", "OpenAI"]

PARAMETERS = frozenset(
    {
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "moderation",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    }
)
ROLES = ("developer", "system", "user", "assistant", "tool", "function")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
REASONING_MODEL = re.compile(r"gpt-[56]|o\d", re.ASCII)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
}
SHUTDOWNS = {
    "gpt-5": "2026-12-11",
    "o3": "2026-12-11",
    "gpt-4o": "2027-01-14",
    "gpt-4o-mini": "2027-01-14",
    "gpt-4.1": "2027-01-14",
    "gpt-4.1-mini": "2027-01-14",
}
FAILURES: dict[int, tuple[str, str | None, str]] = {  # status -> (type, code, message)
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("request_forbidden", "unsupported_country_region_territory", "Country, region, or territory not supported"),
    405: ("invalid_request_error", "method_not_supported", "Not allowed to use this method on this path."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: (
        "service_unavailable_error",
        "server_is_overloaded",
        "The engine is currently overloaded, please try again later.",
    ),
}


class OpenAI(StandIn):
    """api.openai.com."""

    name = "openai"
    title = "OpenAI"
    base_path = "/v1"
    chat_paths = ("/v1/chat/completions",)
    models_paths = ("/v1/models",)
    operations = {  # noqa: RUF012  # a ClassVar of its base
        "/v1/responses": Responses(),
        "/v1/embeddings": Embeddings(),
        "/v1/images/generations": Images(),
    }
    model_names = (
        "gpt-6.2-astra",
        "gpt-6.2-sol",
        "gpt-6.1-sol",
        "gpt-6-astra",
        "gpt-6-sol",
        "gpt-6-luna",
        "gpt-5.6-sol",
        "gpt-5.6-terra",
        "gpt-5.6-luna",
        "gpt-5.5",
        "gpt-5.4",
        "gpt-5.4-mini",
        "gpt-5.4-nano",
        *SHUTDOWNS,
    )

    # -- what it refuses --------------------------------------------------------------------

    def check(self, chat: Chat) -> None:
        """Refuse what OpenAI refuses."""
        for name in chat.body:
            if name not in PARAMETERS:
                raise self._refused(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
        if chat.model not in self.model_names:
            raise RefusalError(self.failing(404, chat.model))
        for index, message in enumerate(chat.messages):
            if message["role"] not in ROLES:
                names = ", ".join(f"'{role}'" for role in ROLES)
                why = f"Invalid value: '{message['role']}'. Supported values are: {names}."
                raise self._refused(why, f"messages[{index}].role", "invalid_value")
        if chat.body.get("stream_options") is not None and not chat.stream:
            raise self._refused(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", None
            )
        self._check_ranges(chat)
        if REASONING_MODEL.match(chat.model):
            self._check_reasoning(chat)

    def _check_ranges(self, chat: Chat) -> None:
        for name, (low, high) in RANGES.items():
            value = chat.number(name)
            if value is not None and not low <= value <= high:
                side, code, bound = (
                    ("below minimum", "below_min", low) if value < low else ("above maximum", "above_max", high)
                )
                sign = ">=" if value < low else "<="
                message = (
                    f"Invalid '{name}': decimal {side} value. Expected a value {sign} {bound}, but got {value} instead."
                )
                raise self._refused(message, name, f"decimal_{code}_value")

    def _check_reasoning(self, chat: Chat) -> None:
        if "max_tokens" in chat.body:
            message = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            raise self._refused(f"Unsupported parameter: {message}", "max_tokens", "unsupported_parameter")
        effort = chat.body.get("reasoning_effort")
        refused = ("none", "minimal") if chat.model == "gpt-6.2-sol" else ()
        if effort is not None and (effort not in EFFORTS or effort in refused):
            known = ", ".join(f"'{one}'" for one in EFFORTS if one not in refused)
            message = f"'reasoning_effort' does not support '{effort}' with this model. Supported values are: {known}."
            raise self._refused(f"Unsupported value: {message}", "reasoning_effort", "unsupported_value")
        for name in ("temperature", "top_p"):
            value = chat.number(name)
            if effort != "none" and value is not None and value != 1:
                message = f"'{name}' does not support {value} with this model. Only the default (1) value is supported."
                raise self._refused(f"Unsupported value: {message}", name, "unsupported_value")

    def _refused(self, message: str, param: str | None, code: str | None) -> RefusalError:
        return RefusalError(self._error(400, "invalid_request_error", message, param=param, code=code))

    # -- what it says -----------------------------------------------------------------------

    def chat(self, chat: Chat) -> Response | Stream:
        """Answer; thoughts are not shown."""
        limit = chat.number("max_completion_tokens") or chat.number("max_tokens")
        structured = chat.format in {"json_object", "json_schema"}
        said = speak(chat, self.title, reasons=False, limit=limit, structured=structured)
        choices = int(chat.number("n") or 1)
        frame = {"id": f"chatcmpl-{self.identifier(29, LETTERS)}", "created": CREATED, "model": said.model}
        if chat.stream:
            headers = {
                "content-type": "text/event-stream; charset=utf-8",
                "cache-control": "no-cache",
                **self.head(200),
            }
            return Stream(headers, self._events(chat, frame, said, choices))
        whole = [self._choice(index, said) for index in range(choices)]
        tail = {"usage": _usage(said, choices), "service_tier": "default", "system_fingerprint": None}
        return self.json(200, {**frame, "object": "chat.completion", "choices": whole, **tail})

    def _choice(self, index: int, said: Speech) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": said.content, "refusal": None, "annotations": []}
        if said.call is not None:
            message["content"] = None
            message["tool_calls"] = [self._call(said.call.name, said.call.arguments)]
        return {"index": index, "message": message, "logprobs": None, "finish_reason": said.finish}

    def _events(self, chat: Chat, frame: dict[str, Any], said: Speech, choices: int) -> Iterator[Event]:
        head = {**frame, "object": "chat.completion.chunk", "service_tier": "default", "system_fingerprint": None}
        with_usage = chat.option("stream_options", "include_usage") is True
        padded = chat.option("stream_options", "include_obfuscation") is not False
        padding = random.Random(frame["id"])  # noqa: S311 - its own, so that parallel streams do not mix

        def chunk(found: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> dict[str, Any]:
            body = {**head, "choices": found}
            if with_usage:
                body["usage"] = usage
            if padded:
                body["obfuscation"] = "".join(padding.choices(LETTERS, k=padding.randint(1, 8)))
            return body

        deltas = self._deltas(said)
        for number, delta in enumerate(deltas):
            for index in range(choices):
                choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
                yield event(chunk([choice]), "content" if number or said.call else "nothing")
        for index in range(choices):
            yield event(
                chunk([{"index": index, "delta": {}, "logprobs": None, "finish_reason": said.finish}]), "finish"
            )
        if with_usage:
            yield event(chunk([], _usage(said, choices)))
        yield DONE

    def _deltas(self, said: Speech) -> list[dict[str, Any]]:
        if said.call is None:
            return [{"role": "assistant", "content": "", "refusal": None}, *({"content": piece} for piece in said.text)]
        opened = {"index": 0, **self._call(said.call.name, "")}
        first = {"role": "assistant", "content": None, "tool_calls": [opened], "refusal": None}
        parts = pieces(said.call.arguments)
        return [first, *({"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in parts)]

    def _call(self, name: str, arguments: str) -> dict[str, Any]:
        function = {"name": name, "arguments": arguments}
        return {"id": f"call_{self.identifier(24, LETTERS)}", "type": "function", "function": function}

    def head(self, status: int) -> dict[str, str]:
        """Name a request id always, the limits on answers."""
        headers = {
            "x-request-id": f"req_{self.identifier(32)}",
            "openai-version": "2020-10-01",
            "openai-processing-ms": "12",
            "openai-organization": "example-org",
        }
        return {**headers, **_limits()} if status == 200 else headers

    def model_entry(self, name: str) -> dict[str, Any]:
        """With the day it will be switched off, if there is one."""
        return {
            "id": name,
            "object": "model",
            "created": 1790632800,
            "owned_by": "system",
            "shutdown_date": SHUTDOWNS.get(name),
        }

    # -- how it fails -----------------------------------------------------------------------

    def unauthorized(self, key: str) -> Response:
        """401, with a piece of the key."""
        if not key:
            missing = (
                "You didn't provide an API key. Provide your API key in an Authorization header using Bearer auth."
            )
            return self._error(401, "invalid_request_error", missing)
        where = "You can find your API key at https://platform.openai.com/account/api-keys."
        message = f"Incorrect API key provided: {masked(key)}. {where}"
        return self._error(401, "invalid_request_error", message, code="invalid_api_key")

    def bad_request(self, message: str) -> Response:
        """400 without a code."""
        return self._error(400, "invalid_request_error", f"Invalid request: {message}")

    def failing(self, status: int, model: str) -> Response:
        """Any status in its one error form."""
        if status == 429:
            return self.rate_limited(1, model)
        if status == 404:
            message = f"The model `{model}` does not exist or you do not have access to it."
            return self._error(404, "invalid_request_error", message, code="model_not_found")
        kind, code, message = FAILURES.get(status, FAILURES[500] if status >= 500 else FAILURES[400])
        response = self._error(status, kind, message, code=code)
        if status != 503:
            return response
        return Response(status, {**response.headers, "retry-after": "1"}, response.body)

    def rate_limited(self, seconds: float, model: str) -> Response:
        """429 with the wait in both headers, in the reset header and in the text."""
        wait = duration(seconds)
        message = (
            f"Rate limit reached for {model or 'this model'} in organization org-ExampleExample "
            f"on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in {wait}. "
            "Visit https://platform.openai.com/account/rate-limits to learn more."
        )
        response = self._error(429, "requests", message, code="rate_limit_exceeded")
        waits = {"retry-after-ms": str(math.ceil(seconds * 1000)), "retry-after": str(math.ceil(seconds))}
        return Response(429, {**response.headers, **_limits(requests="0", reset=wait), **waits}, response.body)

    def no_money(self, model: str, *, stream: bool) -> Response:
        """429 that no wait will cure."""
        message = "You exceeded your current quota, please check your plan and billing details."
        return self._error(429, "insufficient_quota", message, code="insufficient_quota")

    def unknown_path(self, request: Request) -> Response:
        """404 that names the path."""
        return self._error(404, "invalid_request_error", f"Invalid URL ({request.method} {request.path})")

    def _error(
        self, status: int, kind: str, message: str, code: str | None = None, param: str | None = None
    ) -> Response:
        return self.json(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})


def _usage(said: Speech, choices: int) -> dict[str, Any]:
    completion = said.completion_tokens * choices
    return {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": said.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens, "cache_write_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _limits(requests: str = "9999", reset: str = "6ms") -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-requests": requests,
        "x-ratelimit-remaining-tokens": "1998764",
        "x-ratelimit-reset-requests": reset,
        "x-ratelimit-reset-tokens": "37ms",
    }
