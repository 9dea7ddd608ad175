"""What comes back: a whole reply, or chunks of one; OpenAI's shape with typed views on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ._usage import Cost, Usage

if TYPE_CHECKING:
    from ._decision import Decision, Trace
    from ._views import Choice, ChunkChoice

__all__ = ["Chunk", "Reply"]

# What a delta may bring that counts as content; a role alone does not.
CONTENT = ("content", "reasoning_content", "tool_calls", "refusal", "audio", "function_call")


class Answer:
    """Hold plain data in OpenAI's shape; `part` names what its choices carry."""

    __slots__ = ("body",)
    part: ClassVar[str]

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body

    @property
    def text(self) -> str:
        """Give the first choice's text; empty where it has none."""
        return self._first().get("content") or ""

    @property
    def reasoning(self) -> str:
        """Give the first choice's reasoning."""
        return self._first().get("reasoning_content") or ""

    @property
    def finish_reason(self) -> str | None:
        """Say why the first choice ended; None while it goes on."""
        choices = self.body["choices"]
        return choices[0].get("finish_reason") if choices else None

    def model_dump(self) -> dict[str, Any]:
        """Give plain data, as pydantic models do."""
        return self.body

    def _first(self) -> dict[str, Any]:
        choices = self.body["choices"]
        return choices[0].get(self.part) or {} if choices else {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(finish_reason={self.finish_reason!r}, text={self.text[:60]!r})"


class Reply(Answer):
    """Hold one whole answer.

    `body` is OpenAI's chat completion as plain data; `choices` gives typed views of it.
    """

    __slots__ = ("_choices", "provider", "trace", "usage")
    part = "message"

    def __init__(self, body: dict[str, Any], usage: Usage, *, provider: str = "") -> None:
        super().__init__(body)
        self.usage = usage
        self.provider = provider
        self.trace: Trace | None = None
        self._choices: list[Choice] | None = None

    @property
    def decision(self) -> Decision | None:
        """Say why the request went where it went; None before a gateway has finished with it."""
        return self.trace.freeze() if self.trace else None

    @property
    def cost(self) -> Cost:
        """Say what the request cost, all its calls together; an unknown amount is None, never a silent 0."""
        decision = self.decision
        return decision.cost if decision else Cost()

    @property
    def id(self) -> str:
        """Give the vendor's id of the answer."""
        return str(self.body.get("id", ""))

    @property
    def model(self) -> str:
        """Name the model that answered."""
        return str(self.body.get("model", ""))

    @property
    def choices(self) -> list[Choice]:
        """Give the choices as typed objects."""
        if self._choices is None:
            from ._views import Choice

            self._choices = [Choice.model_validate(choice) for choice in self.body["choices"]]
        return self._choices

    def model_dump_json(self) -> bytes:
        """Give JSON."""
        from pydantic_core import to_json

        return to_json(self.body)


class Chunk(Answer):
    """Hold one piece of a streamed answer.

    `raw` is the vendor's JSON when it needed no change and can be forwarded as it came.
    """

    __slots__ = ("_choices", "raw", "usage")
    part = "delta"

    def __init__(self, body: dict[str, Any], *, raw: bytes | None = None, usage: Usage | None = None) -> None:
        self.body = body
        self.raw = raw
        self.usage = usage
        self._choices: list[ChunkChoice] | None = None

    @property
    def choices(self) -> list[ChunkChoice]:
        """Give the choices as typed objects."""
        if self._choices is None:
            from ._views import ChunkChoice

            self._choices = [ChunkChoice.model_validate(choice) for choice in self.body["choices"]]
        return self._choices

    @property
    def is_usage(self) -> bool:
        """Tell whether it is the extra last chunk that carries usage alone."""
        return self.usage is not None and not self.body["choices"]

    @property
    def has_content(self) -> bool:
        """Tell whether it promises something to the caller: text, reasoning, a tool call, an end."""
        for choice in self.body["choices"]:
            if choice.get("finish_reason"):
                return True
            if delta := choice.get("delta"):
                for name in CONTENT:  # no generator: this is asked of every chunk
                    if delta.get(name):
                        return True
        return False

    def to_json(self) -> bytes:
        """Give JSON, as it came where nothing had to change."""
        if self.raw is not None:
            return self.raw
        from pydantic_core import to_json

        return to_json(self.body)
