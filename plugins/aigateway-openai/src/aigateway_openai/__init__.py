"""OpenAI's chat completions: what its models refuse, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aigateway.errors import ConfigurationError, Kind, Remedy, Scope
from aigateway.plugins import ProviderRecord, hookimpl
from aigateway.providers import Dialect, OpenAICompatible, Options, Rule
from aigateway.secrets import Secret
from aigateway.types import Target

from ._images import OpenAIImages

__all__ = ["OpenAI", "aigateway_providers"]

# A key belongs to a project; another key may be of another project, so any may be tried.
PROJECT_RESTS = Remedy(False, "any", "yes", "suspended", Scope.KEY)
NETWORK_BARRED = Remedy(False, "other_group", "yes", "disabled", Scope.QUOTA_GROUP)
NO_KEY_HELPS = Remedy(False, "no", "yes", "ok", Scope.PROVIDER)
PERHAPS_NO_ACCESS = Remedy(False, "other_group", "yes", "ok", Scope.MODEL)

# developers.openai.com/api/docs (error codes) and the recorded bodies of pydantic-ai and vercel/ai. No status where a
# code says enough: the same codes arrive inside a stream, where there is none.
ERRORS = (
    Rule(Kind.INSUFFICIENT_FUNDS, code="project_spend_limit_exceeded", remedy=PROJECT_RESTS),
    Rule(Kind.INSUFFICIENT_FUNDS, code="credit_balance_exhausted"),
    Rule(Kind.INSUFFICIENT_FUNDS, code="organization_spend_limit_exceeded"),
    Rule(Kind.INSUFFICIENT_FUNDS, code="organization_usage_limit_exceeded"),
    Rule(Kind.INSUFFICIENT_FUNDS, type="insufficient_quota"),
    Rule(Kind.REQUEST_TOO_LARGE, code="rate_limit_exceeded", message="request too large"),
    Rule(Kind.RATE_LIMIT, code="rate_limit_exceeded"),
    Rule(Kind.RATE_LIMIT, code="slow_down"),
    Rule(Kind.AUTH, status=401, message=r"\bIP\b.*\bnot (?:authorized|allowed)", remedy=NETWORK_BARRED),
    Rule(Kind.AUTH, code="invalid_api_key"),
    Rule(Kind.PERMISSION, code="unsupported_country_region_territory", remedy=NO_KEY_HELPS),
    Rule(Kind.MODEL_NOT_FOUND, status=404, code="model_not_found", remedy=PERHAPS_NO_ACCESS),
    Rule(Kind.UNSUPPORTED_PARAM, code="unsupported_parameter"),
    Rule(Kind.UNSUPPORTED_PARAM, code="unsupported_value"),
    Rule(Kind.UNSUPPORTED_PARAM, code="unknown_parameter"),
    Rule(Kind.CONTENT_POLICY, code="moderation_blocked"),  # general knowledge, not in the 2026 sources
    Rule(Kind.OVERLOADED, code="server_is_overloaded"),
    Rule(Kind.OVERLOADED, type="service_unavailable_error"),
)

# Unknown names give 400 unknown_parameter (vercel/ai, packages/openai): what DeepSeek, MiniMax and Groq add.
FOREIGN = frozenset(
    {"citation_options", "compound_custom", "disable_tool_validation", "documents", "include_reasoning"}
    | {"reasoning_format", "reasoning_split", "search_settings", "thinking", "user_id"}
)
FOREIGN_VALUES = {"reasoning_effort": ("default",), "service_tier": ("on_demand", "performance")}
ACCOUNT = frozenset({"organization", "project"})
REASONS = re.compile(r"(?:ft:)?(?:gpt-[5-9]|o\d)")
# developers.openai.com/api/docs/models: refuses the efforts none and minimal.
LEAST_EFFORT = {"gpt-6.2-sol": "low"}


class OpenAI(OpenAICompatible):
    """Speak to OpenAI, and to proxies that behave like it.

    A call that is cancelled is not billed on (openrouter.ai/docs, stream cancellation).
    """

    cancel_stops_billing = True
    # `max_tokens` gives 400 on o-series, GPT-5 and GPT-6 (vercel/ai); the new name works everywhere.
    dialect = Dialect(
        base_url="https://api.openai.com/v1",
        # openai/openai-openapi
        paths={"responses": "/responses", "embeddings": "/embeddings", "images": "/images/generations"},
        rename={"max_tokens": "max_completion_tokens"},
        drop=FOREIGN,
        message_drop=frozenset({"reasoning", "reasoning_content", "reasoning_details"}),
        errors=ERRORS,
    )
    settings = frozenset({"operations", "organization", "project"})
    codecs = {**OpenAICompatible.codecs, "images": OpenAIImages()}  # noqa: RUF012  # a ClassVar of its base

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._account: dict[str, str | Secret] = {}
        if "operations" in options.settings:
            self.operations = self._chosen(options.settings["operations"])
        for name in sorted(ACCOUNT & options.settings.keys()):
            value = options.settings[name]
            if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
                raise ConfigurationError(f'providers.{self.name}.{name} must be an id, such as "proj_...".')
            self._account[f"openai-{name}"] = value

    def _chosen(self, names: object) -> frozenset[str]:
        """Keep to the operations an operator lists, for a server that has not all of OpenAI's."""
        if not isinstance(names, list) or not names or not all(name in self.operations for name in map(str, names)):
            known = ", ".join(sorted(self.operations))
            raise ConfigurationError(f"providers.{self.name}.operations must be a list of some of these: {known}.")
        return frozenset(map(str, names))

    def headers(self, key: Secret, stream: bool) -> dict[str, str | Secret]:
        """Name the organization and project to charge (openai/openai-openapi)."""
        return {**super().headers(key, stream), **self._account}

    def adapt(self, body: dict[str, Any], target: Target, notes: list[str]) -> None:
        """Drop what the model refuses: other vendors' values, sampling for models that reason."""
        for name, values in FOREIGN_VALUES.items():
            if body.get(name) in values:
                notes.append(f"{name} {body.pop(name)} was dropped: {self.name} does not know it")
        self._fold_effort(body, "reasoning_effort", target, notes)
        if REASONS.match(target.model) and body.get("reasoning_effort") != "none":
            self._drop_sampling(body, target, notes)

    def adapt_native(self, operation: str, body: dict[str, Any], target: Target, notes: list[str]) -> None:
        """Do as much for a Responses request, and send thoughts only as OpenAI wrote them."""
        if isinstance(body.get("input"), list):
            body["input"] = [item for item in map(own_thoughts, body["input"]) if item is not None]
        reasoning = dict(body["reasoning"]) if isinstance(body.get("reasoning"), dict) else {}
        self._fold_effort(reasoning, "effort", target, notes)
        if reasoning:
            body["reasoning"] = reasoning
        if REASONS.match(target.model) and reasoning.get("effort") != "none":
            self._drop_sampling(body, target, notes)

    def _fold_effort(self, fields: dict[str, Any], name: str, target: Target, notes: list[str]) -> None:
        least = LEAST_EFFORT.get(target.model)
        if least and fields.get(name) in ("none", "minimal"):  # a tuple: what callers send may not hash
            notes.append(f"reasoning_effort {fields[name]} was sent as {least}: {target.model} has no less")
            fields[name] = least

    def _drop_sampling(self, body: dict[str, Any], target: Target, notes: list[str]) -> None:
        """Drop temperature and top_p; 1 is what the model does anyway (developers.openai.com, models)."""
        asked = [name for name in ("temperature", "top_p") if body.pop(name, 1) != 1]
        notes.extend(f'{name} was dropped: {target.model} takes it only with reasoning_effort "none"' for name in asked)


def own_thoughts(item: dict[str, Any]) -> dict[str, Any] | None:
    """Give an item of the input; of thoughts what OpenAI sealed, None where it sealed nothing.

    Thoughts in clear give 400 `array_above_max_length` (musistudio/claude-code-router#1783).
    """
    if item.get("type") != "reasoning":
        return item
    return {**item, "content": []} if item.get("encrypted_content") else None


@hookimpl
def aigateway_providers() -> Iterator[ProviderRecord]:
    """Offer `openai`."""
    yield ProviderRecord("openai", OpenAI, key_variables=("OPENAI_API_KEY",), settings=OpenAI.settings)
