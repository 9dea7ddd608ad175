"""The fields of a messages request that are checked; others pass. Imported on first use."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

__all__ = ["MessagesBody"]

STRICT = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class Message(TypedDict):
    """One turn; what its blocks hold is checked where they are read."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # pydantic's documented hook for a TypedDict
    role: Literal["user", "assistant", "system"]
    content: str | list[dict[str, Any]]


class Tool(TypedDict):
    """One tool."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # as above
    name: NotRequired[str]
    type: NotRequired[str | None]
    description: NotRequired[str | None]
    input_schema: NotRequired[dict[str, Any]]


class MessagesBody(TypedDict):
    """Anthropic's request for a message (anthropic-sdk-python 2.11); unknown fields are kept."""

    __pydantic_config__ = STRICT  # type: ignore[misc]  # as above
    messages: Annotated[list[Message], Field(min_length=1, max_length=4096)]
    max_tokens: Annotated[int, Field(ge=1)]
    model: NotRequired[Annotated[str, Field(max_length=512)] | None]
    system: NotRequired[str | list[dict[str, Any]] | None]
    stream: NotRequired[bool | None]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=1)] | None]
    top_p: NotRequired[Annotated[float, Field(ge=0, le=1)] | None]
    top_k: NotRequired[Annotated[int, Field(ge=0)] | None]
    stop_sequences: NotRequired[list[str] | None]
    tools: NotRequired[list[Tool] | None]
    tool_choice: NotRequired[dict[str, Any] | None]
    thinking: NotRequired[dict[str, Any] | None]
    output_config: NotRequired[dict[str, Any] | None]
    metadata: NotRequired[dict[str, Any] | None]
