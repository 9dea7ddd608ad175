"""Typed views of a reply, built when somebody asks for them. Vendor extras are kept."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Choice", "ChunkChoice", "Delta", "Function", "Message", "ToolCall"]


class View(BaseModel):
    """Keep what we do not know, be read-only."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)


class Function(View):
    """Name the function a model wants called; `arguments` is a JSON text."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(View):
    """One call a model wants made. In a stream, later pieces have no id and no name."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Function | None = None


class Message(View):
    """What the model said."""

    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None


class Delta(Message):
    """A piece of what the model says."""


class Choice(View):
    """One of the answers asked for."""

    index: int = 0
    message: Message
    finish_reason: str | None = None


class ChunkChoice(View):
    """A piece of one of the answers."""

    index: int = 0
    delta: Delta = Delta()
    finish_reason: str | None = None
