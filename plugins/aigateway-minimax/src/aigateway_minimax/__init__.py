"""MiniMax for aigateway: OpenAI's dialect with narrow limits, and failures inside HTTP 200."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from aigateway.errors import ConfigurationError, ProviderError
from aigateway.plugins import ProviderRecord, hookimpl
from aigateway.providers import Dialect, OpenAICompatible, Options, classify
from aigateway.types import ChatRequest, Reply, Target, WireFailure, WireResponse

from ._answers import NOISE, details_text, drop_noise
from ._errors import RULES, base_code, read_failure
from ._history import repair, system_first
from ._images import MiniMaxImages
from ._stream import MiniMaxDecoder
from ._thinking import split_thinking

__all__ = ["MiniMax", "MiniMaxV2", "aigateway_providers", "minimax"]

# platform.minimax.io, text-openai-api: a key belongs to one region.
REGIONS = {"global": "https://api.minimax.io/v1", "china": "https://api.minimaxi.com/v1"}
# platform.minimax.io, text-openai-api, and user reports: these cannot be told not to think.
ALWAYS_THINKING = ("MiniMax-M2", "MiniMax-M3.1-Flash")
NEAR_ZERO = 0.01


class MiniMax(OpenAICompatible):
    """Speak to MiniMax.

    Cancelling does not stop billing (openrouter.ai/docs, stream cancellation).
    """

    decoder_class = MiniMaxDecoder
    codecs = {**OpenAICompatible.codecs, "images": MiniMaxImages()}  # noqa: RUF012  # a ClassVar of its base
    settings = frozenset({"api", "region"})
    dialect = Dialect(
        base_url=REGIONS["global"],
        # platform.minimax.io; vercel/ai, packages/minimax
        paths={"messages": "/anthropic/v1/messages", "images": "/v1/image_generation"},
        rename={"max_tokens": "max_completion_tokens"},
        drop=frozenset({"presence_penalty", "frequency_penalty", "logit_bias"}),
        message_drop=frozenset({"reasoning"}),  # other vendors' thoughts
        roles={"developer": "system"},
        one_choice=True,
        errors=RULES,
    )

    def adapt(self, body: dict[str, Any], target: Target, notes: list[str]) -> None:
        """Keep to the vendor's limits, ask for thoughts apart from the text, repair the history."""
        _clamp(body, notes)
        _think(body, target.model, notes)
        body["reasoning_split"] = True
        messages = [repair(message, target.model, notes) for message in body["messages"]]
        body["messages"] = system_first(messages, notes)

    def decode(self, request: ChatRequest, response: WireResponse) -> Reply:
        """Read a whole answer, without the vendor's extras."""
        reply = super().decode(request, response)
        drop_noise(reply.body, NOISE)
        return reply

    def address(self, operation: str) -> str:
        """Give the URL of an operation; the paths hold the version, which other dialects have elsewhere."""
        return self.base_url.removesuffix("/v1") + self.dialect.paths[operation]

    def refused(self, body: Mapping[str, Any]) -> bool:
        """Tell a failure inside a 200: `base_resp` says so, too."""
        return bool(base_code(body)) or super().refused(body)

    def fix_message(self, message: dict[str, Any]) -> None:
        """Take thoughts out of `reasoning_details` or of the text."""
        drop_noise(message)
        thoughts = details_text(message.pop("reasoning_details", None))
        if thoughts:
            message.setdefault("reasoning_content", thoughts)
        content = message.get("content")
        if isinstance(content, str) and "<think>" in content:
            more, message["content"] = split_thinking(content)
            if more:
                message.setdefault("reasoning_content", more)
        super().fix_message(message)

    def classify(self, failure: WireFailure) -> ProviderError:
        """Say what a failure means: its MiniMax code first, then its type, then the status."""
        return classify(failure, read_failure(failure), self._rules)


class MiniMaxV2(MiniMax):
    """Speak to the older endpoint, for accounts that have no other."""

    # platform.minimax.io, text-post.
    dialect = replace(MiniMax.dialect, path="/text/chatcompletion_v2", rename={"max_completion_tokens": "max_tokens"})


APIS: Mapping[str, type[MiniMax]] = {"chat": MiniMax, "chatcompletion_v2": MiniMaxV2}


def minimax(options: Options) -> MiniMax:
    """Build the provider `api` and `region` ask for; a `base_url` of the operator's wins over `region`."""
    api = _choice(options, "api", APIS)
    region = _choice(options, "region", REGIONS)
    return APIS[api](replace(options, base_url=options.base_url or REGIONS[region]))


def _choice(options: Options, name: str, allowed: Mapping[str, object]) -> str:
    value = options.settings.get(name, next(iter(allowed)))
    if not isinstance(value, str) or value not in allowed:
        words = " or ".join(repr(word) for word in allowed)
        raise ConfigurationError(f"providers.{options.name}.{name} must be {words}, not {value!r}.")
    return value


def _clamp(body: dict[str, Any], notes: list[str]) -> None:
    """Keep numbers where the vendor takes them (platform.minimax.io, text-openai-api)."""
    for name in ("temperature", "top_p"):  # both (0, 1]
        value = body.get(name)
        if isinstance(value, int | float) and not 0 < value <= 1:
            body[name] = NEAR_ZERO if value <= 0 else 1.0
            notes.append(f"{name} {value} was sent as {body[name]}: minimax takes more than 0, at most 1")
    if body.get("n", 1) != 1:
        notes.append(f"n {body.pop('n')} was dropped: minimax gives one answer")


def _think(body: dict[str, Any], model: str, notes: list[str]) -> None:
    """Say `adaptive` where others say `enabled`; user reports: 2013 for anything else."""
    thinking = body.get("thinking")
    if not isinstance(thinking, Mapping):
        return
    if model.startswith(ALWAYS_THINKING):
        del body["thinking"]
        notes.append(f"thinking was dropped: {model} always thinks")
    elif thinking.get("type") == "enabled":
        body["thinking"] = {**thinking, "type": "adaptive"}
        notes.append("thinking enabled was sent as adaptive")


@hookimpl
def aigateway_providers() -> Iterator[ProviderRecord]:
    """Offer `minimax`."""
    yield ProviderRecord("minimax", minimax, key_variables=("MINIMAX_API_KEY",), settings=MiniMax.settings)
