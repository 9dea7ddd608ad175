"""Groq's chat completions: what it refuses, where it puts thoughts and usage, what its errors mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from aigateway.errors import Kind, Remedy, Scope
from aigateway.plugins import ProviderRecord, hookimpl
from aigateway.providers import ChatDecoder, Dialect, OpenAICompatible, Rule, read_usage
from aigateway.types import Chunk, Target

__all__ = ["Groq", "GroqDecoder", "aigateway_providers"]

ORGANIZATION_BARRED = Remedy(False, "other_group", "yes", "disabled", Scope.QUOTA_GROUP)

# console.groq.com/docs/errors, and bodies from issue threads (continuedev/continue#10920 and others). No status where
# a code says enough: the same codes arrive inside a stream, where the status may be missing.
ERRORS = (
    Rule(Kind.AUTH, code="organization_restricted", remedy=ORGANIZATION_BARRED),  # 400, for the whole organization
    Rule(Kind.AUTH, code="invalid_api_key"),
    Rule(Kind.TOOL_USE_FAILED, code="tool_use_failed"),
    Rule(Kind.TOOL_USE_FAILED, code="json_validate_failed"),
    Rule(Kind.TOOL_USE_FAILED, status=422),  # documented as often a hallucination of the model
    Rule(Kind.REQUEST_TOO_LARGE, status=413),  # its code is rate_limit_exceeded, and waiting never helps
    Rule(Kind.REQUEST_TOO_LARGE, code="rate_limit_exceeded", message="request too large"),
    Rule(Kind.RATE_LIMIT, code="rate_limit_exceeded"),
    Rule(Kind.PERMISSION, type="permissions_error"),
    Rule(Kind.MODEL_NOT_FOUND, code="model_decommissioned"),
    Rule(Kind.CONTEXT_LENGTH, message="^Please reduce the length of the messages"),
    Rule(Kind.UNSUPPORTED_PARAM, message=r"property '[^']*' is unsupported|^'n' : number must be"),
    Rule(Kind.BAD_REQUEST, status=424),  # the caller's own tool server failed
    Rule(Kind.OVERLOADED, status=498),  # flex tier: capacity_exceeded
    Rule(Kind.OVERLOADED, code="capacity_exceeded"),
)

# console.groq.com/docs/openai: these give 400; groq-python: metadata and store are not supported.
REFUSED = frozenset({"logit_bias", "logprobs", "metadata", "store", "top_logprobs"})
# Unknown names give 400 "property ... is unsupported"; hints of other vendors do not change what is asked.
FOREIGN = frozenset(
    {"include", "truncation"}  # of Responses requests (console.groq.com/docs/responses-api)
    | {"moderation", "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
    | {"reasoning_split", "safety_identifier", "thinking", "user_id", "verbosity"}
)
TIERS_ELSEWHERE = ("default", "scale", "priority", "fast")
# groq-python, message types. Anything else in a message gives 400: name, reasoning_content (janhq/jan#8136), ...
MESSAGE_FIELDS = frozenset({"role", "content", "tool_calls", "tool_call_id", "function_call"})
# groq-python, reasoning_effort: gpt-oss knows low, medium, high; qwen none and default. None means "leave it out".
EFFORTS: dict[str, dict[str, str | None]] = {
    "openai/gpt-oss": {"none": "low", "minimal": "low", "xhigh": "high", "max": "high", "default": None},
    "qwen/": dict.fromkeys(("minimal", "low", "medium", "high", "xhigh", "max"), "default"),
}


class GroqDecoder(ChatDecoder):
    """Read Groq's streams: usage also in `x_groq`, thoughts marked with a `channel`."""

    def read(self, body: dict[str, Any], raw: bytes | None) -> Iterable[Chunk]:
        """Count usage once, wherever it is; fail on `x_groq.error`, a text (groq-python)."""
        extra = body.get("x_groq")
        if isinstance(extra, dict):
            if extra.get("error"):
                raise self.failure({"error": extra["error"]})
            if extra.get("usage") is not None:
                usage = extra.pop("usage")
                body["usage"] = body["usage"] if read_usage(body.get("usage")) else usage
        return super().read(body, raw)

    def fix_delta(self, delta: dict[str, Any]) -> bool:
        """Remove the `channel` of gpt-oss thoughts, which no client knows."""
        marked = "channel" in delta
        delta.pop("channel", None)
        return super().fix_delta(delta) or marked


class Groq(OpenAICompatible):
    """Speak to Groq.

    Cancelling does not stop billing (openrouter.ai/docs, stream cancellation).
    """

    dialect = Dialect(
        base_url="https://api.groq.com/openai/v1",
        paths={"responses": "/responses"},  # console.groq.com/docs/openai
        rename={"max_tokens": "max_completion_tokens"},  # deprecated (groq-python)
        drop=REFUSED | FOREIGN,
        roles={"developer": "system"},  # groq-python's message types know no developer
        reasoning="reasoning",
        one_choice=True,
        errors=ERRORS,
    )
    decoder_class = GroqDecoder

    def adapt(self, body: dict[str, Any], target: Target, notes: list[str]) -> None:
        """Drop and fold what Groq refuses beyond names."""
        if body.get("n", 1) != 1:
            del body["n"]
            notes.append(f"n was dropped: {self.name} gives one answer")
        if body.get("service_tier") in TIERS_ELSEWHERE:
            notes.append(f"service_tier {body.pop('service_tier')} was dropped: {self.name} does not know it")
        fold_effort(body, target.model, notes)
        choose_format(body, target.model, notes)
        body["messages"] = [strip(message, notes) for message in body["messages"]]

    def adapt_native(self, operation: str, body: dict[str, Any], target: Target, notes: list[str]) -> None:
        """Fold the effort of a Responses request as that of a chat; how a stream is padded is not Groq's to say."""
        body.pop("stream_options", None)
        if isinstance(body.get("reasoning"), dict):
            body["reasoning"] = dict(body["reasoning"])
            fold_effort(body["reasoning"], target.model, notes, "effort")


def fold_effort(body: dict[str, Any], model: str, notes: list[str], name: str = "reasoning_effort") -> None:
    """Send the nearest reasoning_effort the model knows."""
    asked = body.get(name)
    table = next((table for prefix, table in EFFORTS.items() if model.startswith(prefix)), {})
    if not isinstance(asked, str) or asked not in table:
        return
    nearest = table[asked]
    if nearest is None:
        del body[name]
    else:
        body[name] = nearest
        notes.append(f"reasoning_effort {asked} was sent as {nearest}: {model} does not know it")


def choose_format(body: dict[str, Any], model: str, notes: list[str]) -> None:
    """Send `reasoning_format` or `include_reasoning`, never both (groq-python).

    Thoughts of qwen come inside the content unless `parsed` is asked for (console.groq.com/docs/reasoning).
    """
    if "reasoning_format" in body and "include_reasoning" in body:
        del body["include_reasoning"]
        notes.append("include_reasoning was dropped: it excludes reasoning_format")
    elif model.startswith("qwen/") and "include_reasoning" not in body:
        body.setdefault("reasoning_format", "parsed")


def strip(message: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Keep the fields Groq knows; `function_call: null` is refused too (litellm, groq)."""
    given = {name: value for name, value in message.items() if value is not None or name == "content"}
    unknown = given.keys() - MESSAGE_FIELDS
    notes.extend(f"{name[:64]!a} in a message was dropped: Groq refuses it" for name in sorted(unknown))
    return {name: value for name, value in given.items() if name not in unknown}


@hookimpl
def aigateway_providers() -> Iterator[ProviderRecord]:
    """Offer `groq`."""
    yield ProviderRecord("groq", Groq, key_variables=("GROQ_API_KEY",))
