"""The stand-in for MiniMax: failures inside 200, codes in brackets, thoughts in tags, two chat endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

from ._made import MiniMaxImages
from ._messages import Messages
from ._server import Request
from ._speech import Chat, Speech, pieces, speak
from ._vendors import CREATED, DONE, Event, RefusalError, Response, StandIn, Stream, event

__all__ = ["MiniMax"]

V2 = "/v1/text/chatcompletion_v2"
ROLES = frozenset({"system", "user", "assistant", "tool"})
FLAGS = {
    "input_sensitive": False,
    "output_sensitive": False,
    "input_sensitive_type": 0,
    "output_sensitive_type": 0,
    "output_sensitive_int": 0,
}
FAILURES = {  # status -> (error type, message, code)
    400: ("bad_request_error", "invalid params", 2013),
    401: ("authorized_error", "invalid api key", 2049),
    402: ("insufficient_balance_error", "insufficient balance", 1008),
    429: ("rate_limit_error", "rate limit exceeded(RPM)", 1002),
    500: ("api_error", "unknown error, 999", 1000),
    529: (
        "overloaded_error",
        "The server cluster is currently under high load. Please retry after a short wait.",
        2064,
    ),
}
CODES = {
    1000: "unknown error",
    1001: "request timeout",
    1002: "rate limit",
    1004: "not authorized",
    1008: "insufficient balance",
    1024: "internal error",
    1026: "input new_sensitive",
    1027: "output new_sensitive",
    1033: "system error",
    1039: "token rate limit, please retry later",
    1041: "connection limit",
    1042: "invisible characters ratio limit",
    2013: "invalid params",
    2049: "invalid api key",
    2056: "usage limit exceeded",
    2064: "overloaded",
}


class MiniMax(StandIn):
    """api.minimax.io."""

    name = "minimax"
    title = "MiniMax"
    base_path = "/v1"
    json_type = "application/json; charset=utf-8"
    chat_paths = ("/v1/chat/completions", V2)
    models_paths = ("/v1/models",)
    operations = {"/anthropic/v1/messages": Messages(), "/v1/image_generation": MiniMaxImages()}  # noqa: RUF012  # a ClassVar of its base
    model_names = (
        "MiniMax-M3",
        "MiniMax-M3.1-Flash",
        "MiniMax-M2.7",
        "MiniMax-M2.7-highspeed",
        "MiniMax-M2.5",
        "MiniMax-M2.5-highspeed",
        "MiniMax-M2.1",
        "MiniMax-M2.1-highspeed",
        "M2-her",
    )

    # -- what it refuses --------------------------------------------------------------------

    def check(self, chat: Chat) -> None:
        """Refuse what MiniMax refuses; what it does not know it ignores."""
        if chat.model not in self.model_names:
            raise self._refused(chat, f"unknown model '{chat.model}'")
        roles = [message["role"] for message in chat.messages]
        if "system" in roles[1:] or not ROLES.issuperset(roles):
            raise self._refused(chat, "invalid chat setting")
        if chat.thinking not in {None, "adaptive", "disabled"}:
            raise self._refused(chat, f"invalid thinking.type: {chat.thinking}")
        for name in ("temperature", "top_p"):
            value = chat.number(name)
            if value is not None and not 0 < value <= 1:
                raise RefusalError(
                    self._in_200(2013, chat.model, f"invalid params, {name} must be in (0, 1]", stream=chat.stream)
                )
        if chat.number("n") not in {None, 1}:
            raise self._refused(chat, "n must be 1")
        for _, call in chat.calls():
            if not _arguments_parse(call):
                raise self._refused(chat, f"invalid function arguments json string, tool_call_id: {call.get('id')}")

    def _refused(self, chat: Chat, why: str) -> RefusalError:
        """Refuse inside 200 on the old endpoint, with a status on the new one."""
        if chat.path == V2:
            return RefusalError(self._in_200(2013, chat.model, f"invalid params, {why}", stream=chat.stream))
        return RefusalError(self._error(400, "bad_request_error", f"invalid params, {why}", 2013))

    # -- what it says -----------------------------------------------------------------------

    def chat(self, chat: Chat) -> Response | Stream:
        """Answer, with thoughts where the model and the request want them."""
        limit = chat.number("max_completion_tokens") or chat.number("max_tokens")
        said = speak(chat, self.title, reasons=_thinks(chat), limit=limit)
        frame = {"id": self.identifier(20), "created": CREATED, "model": said.model}
        style = _style(chat)
        if chat.stream:
            events = self._events(frame, said, style, old=chat.path == V2)
            return Stream({"content-type": "text/event-stream", "cache-control": "no-cache", **self.head(200)}, events)
        return self.json(200, self._whole(frame, said, style))

    def _whole(self, frame: dict[str, Any], said: Speech, style: str) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "name": "MiniMax AI",
            "audio_content": "",
            "content": said.content,
        }
        if said.reasoning and style == "tags":
            message["content"] = f"<think>\n{said.thought}\n</think>\n\n{said.content}"
        elif said.reasoning:
            message.update(_reasoning(said.thought, style))
        if said.call is not None:
            message["tool_calls"] = [self._call(said.call.name, said.call.arguments)]
        choice = {"finish_reason": said.finish, "index": 0, "message": message}
        tail = {"usage": self._usage(said), **FLAGS, "base_resp": {"status_code": 0, "status_msg": ""}}
        return {**frame, "choices": [choice], "object": "chat.completion", **tail}

    def _events(self, frame: dict[str, Any], said: Speech, style: str, *, old: bool) -> Iterator[Event]:
        """Every delta after the first has an empty role, and the early usage is zero."""
        deltas = self._deltas(said, style)
        last = len(deltas) - 1
        for index, delta in enumerate(deltas):
            first = {"role": "assistant", "name": "MiniMax AI"} if index == 0 else {"role": "", "name": ""}
            choice: dict[str, Any] = {"index": 0, "delta": {"content": "", **delta, **first, "audio_content": ""}}
            if index == last:
                choice["finish_reason"] = said.finish
            chunk = {**frame, "choices": [choice], "object": "chat.completion.chunk"}
            yield event(
                {**chunk, "usage": {"total_tokens": 0, "total_characters": 0}, **FLAGS},
                "finish" if index == last else "content",
            )
        if old:  # its last line repeats the whole answer: whoever adds it up doubles the text
            yield event(self._whole(frame, said, style))
            return
        yield event({**frame, "choices": [], "object": "chat.completion.chunk", "usage": self._usage(said), **FLAGS})
        yield DONE

    def _deltas(self, said: Speech, style: str) -> list[dict[str, Any]]:
        if style == "tags" and said.reasoning:
            head, *middle = said.reasoning
            # The tags are split over chunks, and share them with text.
            texts = [
                "<thi",
                f"nk>\n{head}",
                *middle,
                "\n</th",
                f"ink>\n\n{said.text[0] if said.text else ''}",
                *said.text[1:],
            ]
            deltas: list[dict[str, Any]] = [{"content": text} for text in texts]
        else:
            deltas = [_reasoning(piece, style) for piece in said.reasoning] + [
                {"content": piece} for piece in said.text
            ]
        if said.call is not None:
            parts = pieces(said.call.arguments)
            deltas.append({"tool_calls": [self._call(said.call.name, "")]})
            deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in parts]
        return deltas

    def _call(self, name: str, arguments: str) -> dict[str, Any]:
        identifier = f"call_function_{self.identifier(10)}_1"
        return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}, "index": 0}

    def _usage(self, said: Speech) -> dict[str, Any]:
        return {
            "total_tokens": said.prompt_tokens + said.completion_tokens,
            "total_characters": 0,
            "prompt_tokens": said.prompt_tokens,
            "completion_tokens": said.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": len(said.reasoning)},
        }

    def head(self, status: int) -> dict[str, str]:
        """Name a trace and no limits."""
        return {"trace-id": self.identifier(18)}

    def model_entry(self, name: str) -> dict[str, Any]:
        """Give the usual four fields."""
        return {"id": name, "object": "model", "created": 1786132800, "owned_by": "minimax"}

    # -- how it fails -----------------------------------------------------------------------

    def unauthorized(self, key: str) -> Response:
        """Two codes: no key at all, and a wrong one."""
        if key:
            return self._error(401, "authorized_error", "invalid api key", 2049)
        missing = "login fail: Please carry the API secret key in the 'Authorization' field of the request header"
        return self._error(401, "authorized_error", missing, 1004)

    def bad_request(self, message: str) -> Response:
        """2013, as for everything it does not like."""
        return self._error(400, "bad_request_error", f"invalid params, {message}", 2013)

    def failing(self, status: int, model: str) -> Response:
        """Use its error form, with a code in brackets."""
        kind, message, code = FAILURES.get(status, FAILURES[500 if status >= 500 else 400])
        return self._error(status, kind, message, code)

    def failing_inside(self, code: int, model: str, *, stream: bool) -> Response:
        """Fail with one of its codes inside a 200."""
        code = 1000 if code == 200 else code
        return self._in_200(code, model, CODES.get(code, "unknown error"), stream=stream)

    def rate_limited(self, seconds: float, model: str) -> Response:
        """429 without any header that names a wait."""
        return self.failing(429, model)

    def no_money(self, model: str, *, stream: bool) -> Response:
        """1008 inside a 200."""
        return self._in_200(1008, model, CODES[1008], stream=stream)

    def unknown_path(self, request: Request) -> Response:
        """404 in plain text."""
        return Response(404, {"content-type": "text/plain", **self.head(404)}, b"404 page not found")

    def _error(self, status: int, kind: str, message: str, code: int) -> Response:
        error = {"type": kind, "message": f"{message} ({code})", "http_code": str(status)}
        return self.json(status, {"type": "error", "error": error, "request_id": self.identifier(20)})

    def _in_200(self, code: int, model: str, message: str, *, stream: bool) -> Response:
        usage = {"total_tokens": 0, "total_characters": 0, "prompt_tokens": 0, "completion_tokens": 0}
        body: dict[str, Any] = {
            "id": self.identifier(20),
            "choices": None,
            "created": CREATED,
            "model": model,
            "usage": usage,
        }
        body |= {
            "object": "chat.completion.chunk" if stream else "chat.completion",
            "input_sensitive": False,
            "output_sensitive": False,
        }
        body["base_resp"] = {"status_code": code, "status_msg": message}
        if stream:
            return Response(200, {"content-type": "text/event-stream", **self.head(200)}, event(body).data)
        return self.json(200, body)


def _thinks(chat: Chat) -> bool:
    """Only M3 can be told not to; M2-her never does."""
    if chat.model == "M2-her":
        return False
    return not (chat.model == "MiniMax-M3" and chat.thinking == "disabled")


def _style(chat: Chat) -> str:
    """Say where thoughts go: a field, a list of details, or tags in the text."""
    if chat.model == "MiniMax-M3.1-Flash":
        return "field"
    return "details" if chat.body.get("reasoning_split") is True else "tags"


def _reasoning(text: str, style: str) -> dict[str, Any]:
    if style == "field":
        return {"reasoning_content": text}
    detail = {
        "type": "reasoning.text",
        "id": "reasoning-text-1",
        "format": "MiniMax-response-v1",
        "index": 0,
        "text": text,
    }
    return {"reasoning_details": [detail]}


def _arguments_parse(call: dict[str, Any]) -> bool:
    function = call.get("function")
    arguments = function.get("arguments") if isinstance(function, dict) else None
    if not isinstance(arguments, str):
        return False
    try:
        return isinstance(from_json(arguments), dict)
    except ValueError:
        return False
