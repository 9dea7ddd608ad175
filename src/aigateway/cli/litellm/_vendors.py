"""LiteLLM's names of vendors: where each one answers in OpenAI's dialect, and which variables hold its key.

Addresses and variables are those the vendors document for OpenAI's SDK, and LiteLLM's provider list repeats
(docs.litellm.ai/docs/providers).
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["SERVERS", "SPECIAL", "Vendor", "own_address", "vendor_of_model", "vendor_of_name"]


class Vendor(NamedTuple):
    """Say where a vendor is, and where its key usually stands."""

    address: str
    variables: tuple[str, ...]


VENDORS = {
    "aihubmix": Vendor("https://aihubmix.com/v1", ("AIHUBMIX_API_KEY",)),
    "ai21_chat": Vendor("https://api.ai21.com/studio/v1", ("AI21_API_KEY",)),
    "anthropic": Vendor("https://api.anthropic.com/v1", ("ANTHROPIC_API_KEY",)),
    "cerebras": Vendor("https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    "chutes": Vendor("https://llm.chutes.ai/v1", ("CHUTES_API_KEY",)),
    "codestral": Vendor("https://codestral.mistral.ai/v1", ("CODESTRAL_API_KEY",)),
    "cohere_chat": Vendor("https://api.cohere.ai/compatibility/v1", ("COHERE_API_KEY",)),
    "dashscope": Vendor("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", ("DASHSCOPE_API_KEY",)),
    "deepinfra": Vendor("https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_KEY",)),
    "deepseek": Vendor("https://api.deepseek.com", ("DEEPSEEK_API_KEY",)),
    "fireworks_ai": Vendor("https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY")),
    "friendliai": Vendor("https://api.friendli.ai/serverless/v1", ("FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN")),
    "gemini": Vendor("https://generativelanguage.googleapis.com/v1beta/openai", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    "groq": Vendor("https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
    "meta_llama": Vendor("https://api.llama.com/compat/v1", ("LLAMA_API_KEY",)),
    "minimax": Vendor("https://api.minimax.io/v1", ("MINIMAX_API_KEY",)),
    "mistral": Vendor("https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
    "moonshot": Vendor("https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY",)),
    "nano-gpt": Vendor("https://nano-gpt.com/api/v1", ("NANOGPT_API_KEY",)),
    "novita": Vendor("https://api.novita.ai/v3/openai", ("NOVITA_API_KEY",)),
    "nvidia_nim": Vendor("https://integrate.api.nvidia.com/v1", ("NVIDIA_NIM_API_KEY",)),
    "openai": Vendor("https://api.openai.com/v1", ("OPENAI_API_KEY",)),
    "openrouter": Vendor("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY", "OR_API_KEY")),
    "perplexity": Vendor("https://api.perplexity.ai", ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY")),
    "poe": Vendor("https://api.poe.com/v1", ("POE_API_KEY",)),
    "sambanova": Vendor("https://api.sambanova.ai/v1", ("SAMBANOVA_API_KEY",)),
    "scaleway": Vendor("https://api.scaleway.ai/v1", ("SCW_SECRET_KEY",)),
    "together_ai": Vendor("https://api.together.xyz/v1", ("TOGETHER_API_KEY", "TOGETHERAI_API_KEY")),
    "veniceai": Vendor("https://api.venice.ai/api/v1", ("VENICE_AI_API_KEY",)),
    "volcengine": Vendor("https://ark.cn-beijing.volces.com/api/v3", ("VOLCENGINE_API_KEY", "ARK_API_KEY")),
    "xai": Vendor("https://api.x.ai/v1", ("XAI_API_KEY",)),
}
OTHER_NAMES = {"cohere": "cohere_chat", "ai21": "ai21_chat", "google": "gemini"}
# Servers of one's own: what is appended to their `api_base`, and where they are if none is given.
SERVERS = {
    "custom_openai": ("", ""),
    "hosted_vllm": ("", ""),
    "litellm_proxy": ("", ""),
    "llamafile": ("", "http://127.0.0.1:8080/v1"),
    "lm_studio": ("", "http://127.0.0.1:1234/v1"),
    "ollama": ("/v1", "http://127.0.0.1:11434/v1"),
    "ollama_chat": ("/v1", "http://127.0.0.1:11434/v1"),
    "openai_like": ("", ""),
    "xinference": ("", ""),
}
# Why the others are left out, where there is more to say than that nobody speaks their dialect.
SPECIAL = {
    "azure": "Azure needs an api_base that is one of its resources (https://NAME.openai.azure.com)",
    "azure_ai": "give it as openai/MODEL with the api_base https://NAME.services.ai.azure.com/openai/v1",
    "bedrock": "Amazon signs requests; ask it through a server that speaks OpenAI's dialect, or a plug-in",
    "vertex_ai": "Google's tokens change every hour; use gemini/MODEL with a key, or a plug-in",
}
# LiteLLM knows the vendor of these names without being told.
BY_NAME = (
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-", "openai"),
    ("dall-e", "openai"),
    ("ft:gpt-", "openai"),
    ("claude-", "anthropic"),
    ("deepseek-", "deepseek"),
)


def vendor_of_name(name: str) -> Vendor | None:
    """Find a vendor by LiteLLM's name of it."""
    return VENDORS.get(OTHER_NAMES.get(name, name))


def vendor_of_model(model: str) -> str:
    """Name the vendor of a model that is written without one; empty if nobody knows."""
    return next((vendor for start, vendor in BY_NAME if model.startswith(start)), "")


def own_address(vendor: str, address: str) -> str:
    """Give what `base_url` has to say of a vendor's address: nothing where it is the vendor's own."""
    known = vendor_of_name(vendor)
    same = known is not None and urlsplit(known.address).hostname == urlsplit(address).hostname
    return "" if same else address
