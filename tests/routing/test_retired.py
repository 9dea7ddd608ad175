"""The names of the requirements and of old tutorials, against the plug-ins' own catalogues."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from aigateway.catalogue import Catalogue
from aigateway.plugins import Registry
from aigateway.providers import Options
from aigateway.routing import Names, Resolved, Rules
from aigateway.types import Routing, Target

VENDORS = ("deepseek", "minimax", "openai", "groq")
TODAY = date(2026, 9, 1)


def names(*vendors: str) -> Names:
    registry = Registry()
    tables = Catalogue({vendor: registry.provider(vendor).factory(Options(vendor)).models() for vendor in vendors})
    return Names({"smart": (Target(vendors[0], "x"),)}, tables, Rules("smart", "default"))


ALL = names(*VENDORS)


def resolve(name: str, today: date = TODAY, among: Names = ALL) -> Resolved:
    return among.resolve(name, Routing(), today=today)


@pytest.mark.parametrize(
    ("name", "target", "params"),
    [
        ("deepseek-chat", "deepseek/deepseek-flash", {"thinking": {"type": "disabled"}}),
        ("deepseek-reasoner", "deepseek/deepseek-flash", {"thinking": {"type": "enabled"}}),
        ("abab6.5s-chat", "minimax/MiniMax-M3", {}),
        ("abab6.5-chat", "minimax/MiniMax-M3", {}),
        ("minimax-abab6.5s-chat", "minimax/MiniMax-M3", {}),
        ("minimax-abab6.5-chat", "minimax/MiniMax-M3", {}),
        ("gpt-4", "openai/gpt-5.4", {}),
        ("gpt-4-turbo", "openai/gpt-5.4", {}),
        ("gpt-3.5-turbo", "openai/gpt-5.4-mini", {}),
        ("dall-e-2", "openai/gpt-image-2", {}),
        ("dall-e-3", "openai/gpt-image-2", {}),
        ("llama3-70b-8192", "groq/openai/gpt-oss-120b", {}),
        ("llama3-8b-8192", "groq/openai/gpt-oss-20b", {}),
        ("llama-3.3-70b-versatile", "groq/openai/gpt-oss-120b", {}),
        ("llama-3.1-8b-instant", "groq/openai/gpt-oss-20b", {}),
    ],
)
def test_a_retired_name_has_its_successor(name: str, target: str, params: Mapping[str, Any]) -> None:
    """Each is answered by the stated model, with what keeps its behaviour and a warning naming both."""
    found = resolve(name)

    assert target == str(found.targets[0])
    assert params == found.targets[0].params
    assert 1 == len(found.warnings)
    assert name in found.warnings[0]
    assert target in found.warnings[0]


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_successor_is_in_its_catalogue(vendor: str) -> None:
    """No retired name leads to nothing, and no successor is itself retired today."""
    for model in ALL.catalogue[vendor].values():
        if model.successor is not None:
            heir = ALL.catalogue[vendor][model.successor]
            assert heir.successor is None or (heir.shutdown is not None and heir.shutdown > TODAY), model.id


def test_gpt_4o_answers_itself_until_its_shutdown() -> None:
    """Until 14 January 2027 with a warning, afterwards gpt-5.4 answers."""
    before, after = resolve("gpt-4o", date(2027, 1, 13)), resolve("gpt-4o", date(2027, 1, 15))

    assert "openai/gpt-4o" == str(before.targets[0])
    assert ["openai/gpt-4o will be switched off on 2027-01-14"] == before.warnings
    assert "openai/gpt-5.4" == str(after.targets[0])
    assert ["openai/gpt-4o is retired; openai/gpt-5.4 answers instead"] == after.warnings


def test_deepseek_chat_answered_itself_until_its_shutdown() -> None:
    """The date counts in both directions."""
    assert "deepseek/deepseek-chat" == str(resolve("deepseek-chat", date(2026, 7, 1)).targets[0])


def test_a_groq_only_gateway_answers_gpt_with_its_default() -> None:
    """Continue's configuration names gpt-3.5-turbo; without OpenAI the default model answers, and says so."""
    found = resolve("gpt-3.5-turbo", among=names("groq"))

    assert "groq/x" == str(found.targets[0])
    assert ["the model 'gpt-3.5-turbo' is not known here; 'smart' answers instead"] == found.warnings


def test_a_groq_only_gateway_knows_openais_open_model() -> None:
    """`openai/...` in an id is no pin to a provider that is not there."""
    for among in (ALL, names("groq")):
        assert "groq/openai/gpt-oss-120b" == str(resolve("openai/gpt-oss-120b", among=among).targets[0])
