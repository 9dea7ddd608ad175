"""Items of a Responses conversation as chat messages (openai-python 3.51, response_input_item_param)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ...errors import RequestError
from .._fields import rows, text_at
from .._surface import NativeOnly

__all__ = ["History", "sealed", "unknown_to_chat", "unsealed"]

# Thoughts in the field for encrypted ones, for clients that send nothing else back: ours to read, hidden from nobody.
OURS = "aigateway."
ROLES = ("user", "system", "developer", "assistant")
# What a vendor keeps for us is out of reach: accounts differ by key and by target, and the gateway keeps nothing.
KEPT = "the gateway keeps no files; send the data itself, as a data: URL or as 'file_data'"


class History:
    """Gather chat messages from items. What chat cannot say is left out and noted in `needs`.

    Thoughts, text and calls that follow each other are one message of the assistant, as chat has it.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.needs: list[NativeOnly] = []
        self._called: set[str] = set()

    def add(self, item: dict[str, Any], path: str) -> None:
        """Read one item. Raises RequestError naming the wrong field."""
        kind = item.get("type") or ("message" if "role" in item else None)
        if not isinstance(kind, str):
            raise RequestError(f"'{path}.type' must name a kind of item, such as 'message'", param=f"{path}.type")
        if kind == "item_reference":
            raise RequestError(
                f"'{path}' refers to an item that was kept; the gateway keeps none. Send the item itself.", param=path
            )
        if kind in self._kinds:
            self._kinds[kind](self, item, path)
        else:
            self.needs.append(unknown_to_chat(f"'{path}', an item of type {kind[:64]!r},", f"{path}.type"))

    # -- kinds of items ---------------------------------------------------------------------

    def _message(self, item: dict[str, Any], path: str) -> None:
        role = item.get("role")
        if role not in ROLES:
            raise RequestError(f"'{path}.role' must be one of {', '.join(ROLES)}", param=f"{path}.role")
        if role == "assistant":
            said = "".join(self._texts(item.get("content"), f"{path}.content", ("output_text", "input_text", "text")))
            turn = self._turn(new=True)
            turn["content"] = (turn["content"] or "") + said
        else:
            self.messages.append({"role": role, "content": self._content(item.get("content"), f"{path}.content")})

    def _reasoning(self, item: dict[str, Any], path: str) -> None:
        thoughts = "".join(
            text_at(part, "text", f"{path}.{name}[{at}]")
            for name in ("content", "summary")
            for at, part in enumerate(rows_at(item, name, path))
            if name == "content" or not item.get("content")
        )
        thoughts = thoughts or unsealed(item.get("encrypted_content"))
        if thoughts:
            turn = self._turn(new=True)
            turn["reasoning_content"] = turn.get("reasoning_content", "") + thoughts

    def _call(self, item: dict[str, Any], path: str) -> None:
        name, given, call_id = (text_at(item, field, path) for field in ("name", "arguments", "call_id"))
        self._called.add(call_id)
        calls = self._turn().setdefault("tool_calls", [])
        calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": given}})

    def _output(self, item: dict[str, Any], path: str) -> None:
        call_id = text_at(item, "call_id", path)
        if call_id not in self._called:
            raise RequestError(
                f"'{path}.call_id' is {call_id[:64]!r}, and no function_call with it comes before. The gateway keeps "
                "nothing from earlier responses: send their output items, too.",
                param=f"{path}.call_id",
            )
        said = "".join(self._texts(item.get("output"), f"{path}.output", ("input_text", "output_text", "text")))
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": said})

    # -- what they hold ---------------------------------------------------------------------

    # Functions of the class: those of an object would hold it, until the garbage collector came.
    _kinds: ClassVar[Mapping[str, Callable[[Any, dict[str, Any], str], None]]] = {
        "message": _message,
        "reasoning": _reasoning,
        "function_call": _call,
        "function_call_output": _output,
    }

    def _turn(self, *, new: bool = False) -> dict[str, Any]:
        """Give the assistant's message under way; a new one after words, but never between calls and their outputs."""
        last = self.messages[-1] if self.messages else {"role": ""}
        if last["role"] != "assistant" or (new and last["content"] and not last.get("tool_calls")):
            last = {"role": "assistant", "content": None}
            self.messages.append(last)
        return last

    def _texts(self, content: object, path: str, kinds: tuple[str, ...]) -> list[str]:
        if isinstance(content, str):
            return [content]
        texts = []
        for at, part in enumerate(rows(content, path)):
            kind, where = part.get("type"), f"{path}[{at}]"
            if kind in kinds:
                texts.append(text_at(part, "text", where))
            elif kind == "refusal":
                texts.append(text_at(part, "refusal", where))
            else:
                self._cannot(kind, where)
        return texts

    def _content(self, content: object, path: str) -> str | list[dict[str, Any]]:
        if isinstance(content, str):
            return content
        parts = [self._part(part, f"{path}[{at}]") for at, part in enumerate(rows(content, path))]
        found = [part for part in parts if part is not None]
        return str(found[0]["text"]) if len(found) == 1 and found[0]["type"] == "text" else found

    def _part(self, part: dict[str, Any], path: str) -> dict[str, Any] | None:
        kind = part.get("type")
        if kind in ("input_text", "output_text", "text"):
            return {"type": "text", "text": text_at(part, "text", path)}
        if kind == "input_image":
            return self._image(part, path)
        if kind == "input_file":
            return self._file(part, path)
        if kind == "input_audio":
            return {"type": "input_audio", "input_audio": part.get("input_audio")}
        self._cannot(kind, path)
        return None

    def _image(self, part: dict[str, Any], path: str) -> dict[str, Any] | None:
        if part.get("file_id") is not None:
            raise RequestError(f"'{path}.file_id': {KEPT}", param=f"{path}.file_id")
        image = {"url": text_at(part, "image_url", path)}
        if part.get("detail") is not None:
            image["detail"] = text_at(part, "detail", path)
        return {"type": "image_url", "image_url": image}

    def _file(self, part: dict[str, Any], path: str) -> dict[str, Any] | None:
        if part.get("file_id") is not None:
            raise RequestError(f"'{path}.file_id': {KEPT}", param=f"{path}.file_id")
        if part.get("file_url") is not None:
            self.needs.append(unknown_to_chat(f"'{path}.file_url'", f"{path}.file_url"))
            return None
        fields = {name: text_at(part, name, path) for name in ("filename", "file_data") if part.get(name) is not None}
        return {"type": "file", "file": fields}

    def _cannot(self, kind: object, path: str) -> None:
        if not isinstance(kind, str):
            raise RequestError(f"'{path}.type' must name a kind of content, such as 'input_text'", param=f"{path}.type")
        if kind in ("image_url", "file"):
            raise RequestError(
                f"'{path}.type' is {kind!r}, a chat request's; here it is 'input_{kind.removesuffix('_url')}'",
                param=f"{path}.type",
            )
        self.needs.append(unknown_to_chat(f"'{path}', content of type {kind[:64]!r},", f"{path}.type"))


def unknown_to_chat(what: str, param: str) -> NativeOnly:
    """Say what only a target can know that speaks the Responses API itself."""
    return NativeOnly(f"{what} needs a target that speaks the Responses API itself.", param=param)


def rows_at(item: Mapping[str, Any], name: str, path: str) -> list[dict[str, Any]]:
    """Give a list of objects inside an object; none where it is not given."""
    value = item.get(name)
    return [] if value is None else rows(value, f"{path}.{name}")


def sealed(thoughts: str) -> str:
    """Write thoughts so that `History` reads them again."""
    return OURS + urlsafe_b64encode(thoughts.encode("utf-8", "replace")).decode("ascii")


def unsealed(value: object) -> str:
    """Read what `sealed` wrote; a vendor's own encrypted thoughts are nobody else's to read."""
    if not isinstance(value, str) or not value.startswith(OURS):
        return ""
    try:
        return urlsafe_b64decode(value.removeprefix(OURS).encode("ascii")).decode("utf-8")
    except (UnicodeError, NotBase64):
        return ""
