"""A vendor that speaks OpenAI's dialect, for aigateway: a table of differences, and a hook."""

from __future__ import annotations

from collections.abc import Iterator

from aigateway.errors import Kind
from aigateway.plugins import ProviderRecord, hookimpl
from aigateway.providers import Dialect, OpenAICompatible, Rule


class YourVendor(OpenAICompatible):
    """Speak to your vendor."""

    dialect = Dialect(
        base_url="https://api.example.com/v1",
        rename={"max_completion_tokens": "max_tokens"},
        drop=frozenset({"logit_bias"}),
        errors=(Rule(Kind.INSUFFICIENT_FUNDS, status=403, message="credit"),),
    )


@hookimpl
def aigateway_providers() -> Iterator[ProviderRecord]:
    """Offer `yourvendor`."""
    yield ProviderRecord("yourvendor", YourVendor, key_variables=("YOURVENDOR_API_KEY",))
