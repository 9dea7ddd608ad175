"""A chat stream as the events of the Responses API (openai-python 3.51, types/responses/response_stream_event)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import GatewayError
from ...types import Chunk, NativeChunk, Usage
from .._surface import Named
from ._input import sealed
from ._output import PARTS, PREFIXES, Calling, Spoken, made, place, within
from ._reply import INCOMPLETE, answer, error_object, usage_object

__all__ = ["ResponsesTelling"]


# What a delta may bring, in the order in which a model says it, and the part it belongs to.
SAID = (("reasoning_content", "reasoning_text"), ("content", "output_text"), ("refusal", "refusal"))


class ResponsesTelling:
    """Tell one answer as events. What is told adds up to `whole`, the whole answer.

    Thoughts, text and calls are items of their own. A call stays open until the answer ends: pieces
    of several calls may come in any order.
    """

    def __init__(self, asked: Mapping[str, Any], *, request_id: str, model: str) -> None:
        self._asked = asked
        self._request_id = request_id
        self._model = model
        self._number = 0
        self._events: list[Named] = []
        self._items: list[Spoken | Calling] = []
        self._calls: dict[object, Calling] = {}
        self._last_call: object = None
        self._seals = "reasoning.encrypted_content" in asked.get("include", ())
        self._stem = ""
        self._finish: str | None = None
        self.whole: dict[str, Any] = {}

    def note(self, chunk: NativeChunk) -> None:
        """Note how far a stream of this dialect has come that is passed on as it is."""
        number, response = chunk.body.get("sequence_number"), chunk.body.get("response")
        if type(number) is int:
            self._number = number + 1
        if isinstance(response, dict):
            self.whole = dict(response)

    def feed(self, chunk: Chunk) -> list[Named]:
        """Say what a chunk says."""
        if not self.whole:
            self._begin(chunk.body)
        for choice in chunk.body["choices"]:
            if choice.get("index", 0) == 0:
                self._read(choice)
        return self._taken()

    def end(self, usage: Usage | None) -> list[Named]:
        """Close what is open; the answer is complete, or as long as it was allowed to be."""
        if not self.whole:
            self._begin({})
        reason = INCOMPLETE.get(self._finish or "")
        for call in self._calls.values():
            if not call.told:
                self._announce(call)
        for item in self._items:
            if item.open:
                last = item is self._items[-1]
                self._close(item, "incomplete" if reason and last else "completed")
        self._settle("incomplete" if reason else "completed", usage)
        if reason:
            self.whole["incomplete_details"] = {"reason": reason}
        self._say(f"response.{self.whole['status']}", response=self.whole)
        return self._taken()

    def failed(self, error: GatewayError) -> list[Named]:
        """Say that the answer broke off. The nested error is what OpenAI's clients raise on."""
        if not self.whole:
            self._begin({})
        flat = {"code": error.code or error.type, "message": error.message, "param": error.param}
        self._say("error", **flat, error={**flat, "type": error.type, "request_id": self._request_id})
        for item in self._items:
            if item.open:
                item.close("incomplete")
        self._settle("failed", None)
        self.whole["error"] = error_object(error)
        self._say("response.failed", response=self.whole)
        return self._taken()

    # -- what is said -----------------------------------------------------------------------

    def _begin(self, body: Mapping[str, Any]) -> None:
        self.whole = answer(self._asked, body, self._model)
        self._stem = self.whole["id"].removeprefix("resp_")
        # What is told is not changed any more.
        self._say("response.created", response=dict(self.whole))
        self._say("response.in_progress", response=dict(self.whole))

    def _read(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta") or {}
        for field, kind in SAID:
            if delta.get(field):
                self._speak(kind, delta[field], _logprobs(choice) if kind == "output_text" else [])
        for piece in delta.get("tool_calls") or ():
            self._call(piece)
        self._finish = choice.get("finish_reason") or self._finish

    def _speak(self, kind: str, text: str, logprobs: list[Any]) -> None:
        item = self._holder(PARTS[kind].holder)
        if item.part != kind:
            if item.part:
                self._close_part(item)
            item.part = kind
            self._say("response.content_part.added", **within(item), part=made(kind, "", []))
        item.add(text, logprobs)
        more = {"logprobs": logprobs} if kind == "output_text" else {}
        self._say(f"response.{kind}.delta", **within(item), delta=text, **more)

    def _holder(self, kind: str) -> Spoken:
        """Give the item a text goes on, or begin one: what another item followed is over."""
        last = self._items[-1] if self._items else None
        if isinstance(last, Spoken) and last.open:
            if last.body["type"] == kind:
                return last
            self._close(last, "completed")
        item = Spoken(kind, self._item_id(PREFIXES[kind]), len(self._items))
        self._items.append(item)
        self._say("response.output_item.added", output_index=item.at, item={**item.body, "content": []})
        return item

    def _call(self, piece: Mapping[str, Any]) -> None:
        function = piece.get("function") or {}
        call, given = self._calling(piece), function.get("arguments") or ""
        call.body["name"] = call.body["name"] or function.get("name") or ""
        call.pieces.append(given)
        if not call.told and call.body["name"]:
            self._announce(call)
        elif call.told and given:
            self._say("response.function_call_arguments.delta", **place(call), delta=given)

    def _calling(self, piece: Mapping[str, Any]) -> Calling:
        """Find the call a piece belongs to: by its index; where there is none, a new id is a new call."""
        index, named = piece.get("index"), piece.get("id")
        key = index if index is not None else named or self._last_call
        self._last_call = key
        call = self._calls.get(key)
        if call is None:
            taken = {call.body["call_id"] for call in self._calls.values()}
            number = len(self._calls)
            call_id = named if named and named not in taken else f"call_{self._stem}_{number}"
            call = self._calls[key] = Calling(f"fc_{self._stem}_{number}", call_id)
        return call

    def _announce(self, call: Calling) -> None:
        last = self._items[-1] if self._items else None
        if isinstance(last, Spoken) and last.open:
            self._close(last, "completed")
        call.at = len(self._items)
        self._items.append(call)
        self._say("response.output_item.added", output_index=call.at, item=dict(call.body))
        given = "".join(call.pieces)
        if given:
            self._say("response.function_call_arguments.delta", **place(call), delta=given)

    def _close_part(self, item: Spoken) -> None:
        kind, where = item.part, within(item)
        part = item.close_part()
        rest = {"logprobs": part["logprobs"]} if kind == "output_text" else {}
        field = PARTS[kind].field
        self._say(f"response.{kind}.done", **where, **{field: part[field]}, **rest)
        self._say("response.content_part.done", **where, part=part)

    def _close(self, item: Spoken | Calling, status: str) -> None:
        if isinstance(item, Spoken) and item.part:
            self._close_part(item)
        item.close(status)
        if isinstance(item, Calling):
            arguments = item.body["arguments"]
            self._say("response.function_call_arguments.done", **place(item), arguments=arguments)
        elif item.body["type"] == "reasoning" and self._seals:
            item.body["encrypted_content"] = sealed("".join(part["text"] for part in item.body["content"]))
        self._say("response.output_item.done", output_index=item.at, item=item.body)

    # -- how it is said ---------------------------------------------------------------------

    def _say(self, name: str, **fields: Any) -> None:
        self._events.append(Named(name, {"type": name, **fields, "sequence_number": self._number}))
        self._number += 1

    def _taken(self) -> list[Named]:
        events, self._events = self._events, []
        return events

    def _settle(self, status: str, usage: Usage | None) -> None:
        output = [item.body for item in self._items]
        self.whole |= {"status": status, "output": output, "usage": usage_object(usage)}

    def _item_id(self, prefix: str) -> str:
        return f"{prefix}_{self._stem}_{len(self._items)}"


def _logprobs(choice: Mapping[str, Any]) -> list[Any]:
    """Give the tokens' probabilities a choice brings; chat's are shaped as this dialect's."""
    found = choice.get("logprobs")
    rows = found.get("content") if isinstance(found, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
