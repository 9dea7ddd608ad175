"""The fields of a chat request that are checked; others pass. Imported on first use."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

__all__ = ["ChatBody"]

STRICT = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
Count = Annotated[int, Field(ge=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class Function(TypedDict):
    """Name a function and its arguments, a JSON text."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # pydantic's documented hook for a TypedDict
    name: str
    arguments: str


class ToolCall(TypedDict):
    """One call an assistant made earlier."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # as above
    id: str
    function: NotRequired[Function]


class Message(TypedDict):
    """One message; vendor extras such as reasoning_content pass."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # as above
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: NotRequired[str | list[dict[str, Any]] | None]
    tool_calls: NotRequired[list[ToolCall] | None]


class StreamOptions(TypedDict):
    """Options of a stream."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # as above
    include_usage: NotRequired[bool | None]


class ChatBody(TypedDict):
    """OpenAI's chat request (openai-python 3.3.1); unknown fields are kept."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # as above
    messages: Annotated[list[Message], Field(min_length=1, max_length=4096)]
    model: NotRequired[Annotated[str, Field(max_length=512)] | None]
    stream: NotRequired[bool | None]
    stream_options: NotRequired[StreamOptions | None]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=2)] | None]
    top_p: NotRequired[Annotated[float, Field(ge=0, le=1)] | None]
    n: NotRequired[Annotated[int, Field(ge=1, le=16)] | None]
    max_tokens: NotRequired[Count | None]
    max_completion_tokens: NotRequired[Count | None]
    presence_penalty: NotRequired[Penalty | None]
    frequency_penalty: NotRequired[Penalty | None]
    stop: NotRequired[str | list[str] | None]
    tools: NotRequired[list[dict[str, Any]] | None]
    tool_choice: NotRequired[str | dict[str, Any] | None]
    response_format: NotRequired[dict[str, Any] | None]
    user: NotRequired[str | None]
