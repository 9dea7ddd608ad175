"""DeepSeek for aigateway: OpenAI's dialect, with thinking on by default and its own failures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from aigateway.errors import Kind, ProviderError, Remedy
from aigateway.plugins import ProviderRecord, hookimpl
from aigateway.providers import ChatDecoder, Dialect, OpenAICompatible, Options, Rule
from aigateway.secrets import Secret
from aigateway.types import ChatRequest, Chunk, HTTPRequest, Reply, Target, WireResponse

__all__ = ["DeepSeek", "aigateway_providers"]

# api-docs.deepseek.com, guides/thinking_mode: the three efforts there are, and what folds into them.
EFFORTS = {"minimal": "low", "medium": "high", "xhigh": "high", "ultra": "max"}
# What other vendors' assistants leave in a history.
FOREIGN = frozenset({"reasoning", "reasoning_details"})
OFF = {"type": "disabled"}
SILENCE = "the vendor closed the connection before it began to answer"


class DeepSeekDecoder(ChatDecoder):
    """Tell a stream that never began from one that broke off."""

    def end(self) -> Iterable[Chunk]:
        """Note the end of the body: after comments alone the request had waited too long."""
        # api-docs.deepseek.com, quick_start/rate_limit: closed if inference has not started in time.
        if not self.done and not self._last:
            raise ProviderError(Kind.TIMEOUT, SILENCE)
        return super().end()


class DeepSeek(OpenAICompatible):
    """Speak to DeepSeek.

    A call that is cancelled is not billed on (openrouter.ai/docs, stream cancellation).
    """

    cancel_stops_billing = True
    decoder_class = DeepSeekDecoder
    dialect = Dialect(
        base_url="https://api.deepseek.com",  # api-docs.deepseek.com, quick_start
        # api-docs.deepseek.com, guides/responses_api and quick_start (Anthropic's dialect).
        paths={"responses": "/responses", "messages": "/anthropic/v1/messages"},
        rename={"max_completion_tokens": "max_tokens"},
        roles={"developer": "system"},  # user reports: `developer` is answered with 400
        message_drop=FOREIGN,
        # api-docs.deepseek.com, api/create-chat-completion: the server cut the answer.
        finish_failures={"insufficient_system_resource": Kind.OVERLOADED},
        # api-docs.deepseek.com, quick_start/error_codes, and bodies in user reports. `code` is
        # invalid_request_error in every one of them, 401 and 402 included, so it tells nothing.
        # No status beside the words: they may come inside a stream, where there is none.
        errors=(
            Rule(Kind.MODEL_NOT_FOUND, message="^Model Not Exist"),
            Rule(Kind.CONTENT_POLICY, message="^Content Exists Risk"),
            Rule(Kind.INSUFFICIENT_FUNDS, message="^Insufficient Balance"),
            Rule(Kind.RATE_LIMIT, message="exceeds your concurrency limit"),
            Rule(
                Kind.UNSUPPORTED_PARAM,
                message="response_format type is unavailable",
                remedy=Remedy(other_target="conditional"),
            ),
        ),
        prefill=True,
        one_choice=True,  # api-docs.deepseek.com, api/create-chat-completion: there is no `n`
    )

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._root = self.base_url.removesuffix("/v1").removesuffix("/beta")
        self._beta = f"{self._root}/beta{self.dialect.path}"

    def encode(self, request: ChatRequest, key: Secret, target: Target) -> HTTPRequest:
        """Write a chat request; a prefix is known under the beta address only."""
        sent = super().encode(request, key, target)
        if request.operation == "chat" and request.messages[-1].get("prefix") is True:
            sent.url = self._beta
        return sent

    def address(self, operation: str) -> str:
        """Give the URL of an operation; they are beside the version, not below it."""
        return self._root + self.dialect.paths[operation]

    def continuation(self, request: ChatRequest, text: str) -> ChatRequest | None:
        """Ask to go on after `text`, without more thinking; None where thinking was asked for."""
        # api-docs.deepseek.com, guides/chat_prefix_completion: the last message has `prefix`. Thinking
        # beside a prefix is not documented for V4; what was thought before the text is not repeated.
        going_on = super().continuation(request, text)
        asked = {**request.body, **request.extra.get(self.name, {})}
        if going_on is None or asked.get("reasoning_effort", "none") != "none" or asked.get("thinking", OFF) != OFF:
            return None
        going_on.messages[-1]["prefix"] = True
        going_on.body["thinking"] = OFF
        return going_on

    def adapt(self, body: dict[str, Any], target: Target, notes: list[str]) -> None:
        """Name the user, fold the effort, repair the history."""
        _name_user(body)
        _fold_effort(body, notes)
        thinks = _thinks(body)
        if thinks and body.get("tool_choice") == "required":  # refused in thinking mode: recorded answers
            body["tool_choice"] = "auto"
            notes.append("tool_choice required was sent as auto: deepseek refuses it while thinking")
        body["messages"] = [_message(message, thinks=thinks) for message in body["messages"]]

    def decode(self, request: ChatRequest, response: WireResponse) -> Reply:
        """Read a whole answer; blank lines alone mean that none came in time."""
        # api-docs.deepseek.com, quick_start/rate_limit: empty lines are sent while a request waits.
        if 200 <= response.status < 300 and not response.body.strip():
            raise ProviderError(Kind.TIMEOUT, SILENCE)
        return super().decode(request, response)


def _name_user(body: dict[str, Any]) -> None:
    """Tell end users apart (caches, safety review) without telling who they are."""
    # api-docs.deepseek.com, quick_start/rate_limit: user_id, at most 512 bytes.
    user, safety = body.pop("user", None), body.pop("safety_identifier", None)
    who = safety or user
    if who and "user_id" not in body:
        body["user_id"] = sha256(f"aigateway/deepseek/user/v1{who}".encode("utf-8", "surrogatepass")).hexdigest()


def _fold_effort(body: dict[str, Any], notes: list[str]) -> None:
    effort = body.get("reasoning_effort")
    if effort == "none":  # OpenAI's word for an answer without thinking
        del body["reasoning_effort"]
        body.setdefault("thinking", {"type": "disabled"})
        notes.append("reasoning_effort none was sent as thinking disabled")
    elif isinstance(effort, str) and effort in EFFORTS:
        body["reasoning_effort"] = EFFORTS[effort]
        notes.append(f"reasoning_effort {effort} was sent as {EFFORTS[effort]}")


def _thinks(body: Mapping[str, Any]) -> bool:
    """Tell whether the model will think: it does unless told not to (guides/thinking_mode)."""
    thinking = body.get("thinking")
    return not (isinstance(thinking, Mapping) and thinking.get("type") == "disabled")


def _message(message: dict[str, Any], *, thinks: bool) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    content = message.get("content")
    # User reports: a list of texts is answered with 400 ("expected a string"); images need the list.
    if isinstance(content, list) and all(isinstance(part.get("text"), str) and _is_text(part) for part in content):
        changes["content"] = "\n".join(part["text"] for part in content)
    # api-docs.deepseek.com, guides/thinking_mode: a call without its thoughts is answered with 400;
    # a space stands in for thoughts that were lost or were another vendor's.
    if thinks and message.get("tool_calls") and not message.get("reasoning_content"):
        changes["reasoning_content"] = " "
    return {**message, **changes} if changes else message


def _is_text(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "text"


@hookimpl
def aigateway_providers() -> Iterator[ProviderRecord]:
    """Offer `deepseek`."""
    yield ProviderRecord("deepseek", DeepSeek, key_variables=("DEEPSEEK_API_KEY",))
