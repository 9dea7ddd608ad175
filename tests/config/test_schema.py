"""The JSON Schema says what the settings do: the same files are right, the same mistakes are wrong."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from aigateway.cli._json_schema import json_schema
from aigateway.cli._schema import schema_text
from aigateway.config import Settings

ROOT = Path(__file__).parents[2]
COPY = ROOT / "docs/reference/aigateway.schema.json"
EXAMPLES = sorted(path for path in ROOT.glob("examples/**/*.toml") if "providers" in tomllib.loads(path.read_text()))


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(json_schema())


def read(text: str) -> Any:
    """Read TOML as editors hand it to a schema: dates are texts."""
    return json.loads(json.dumps(tomllib.loads(text), default=date.isoformat))


def test_the_copy_in_the_docs_is_the_schema() -> None:
    """The copy is what the command prints; after a change of the settings it is written anew."""
    same = schema_text() == COPY.read_text(encoding="utf-8")

    assert same, f"run: aigateway schema > {COPY.relative_to(ROOT)}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_examples_are_valid(path: Path, validator: jsonschema_rs.Draft7Validator) -> None:
    """Every configuration among the examples is one."""
    assert [] == [error.message for error in validator.iter_errors(read(path.read_text(encoding="utf-8")))]


def test_there_are_examples() -> None:
    """Something is validated at all, the file with every table among it."""
    assert ROOT / "examples/gateway.toml" in EXAMPLES


@pytest.mark.parametrize(
    "text",
    [
        "default_modle = 'smart'",
        "unknown_models = 'maybe'",
        "[server]\nport = 70000",
        "[server]\nport = '8000'",
        "[routes.r]\ntargets = []",
        "[routes.r]\ntargets = [{ to = 'a/b', weigth = 2 }]",
        "[routes.r]\ntargets = [7]",
        "[timeouts]\nconnect = 0",
        "[callers.keys]\nname = 'editor'\nsecret = 'env:K'",
        "[[callers.keys]]\nname = 'editor'",
        "[callers.weekly]\nrooot = 'env:ADMIN_SECRET'",
        "[providers.groq]\nkeys = ['env:GROQ_API_KEY']",
    ],
)
def test_mistakes_are_found(text: str, validator: jsonschema_rs.Draft7Validator) -> None:
    """What the settings refuse for its name, its kind or its size, the schema refuses."""
    assert not validator.is_valid(read(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[providers.minimax]\nregion = 'cn'\nkeys = [{ secret = 'env:K', expires = 2027-01-31 }]",
        "[[guards]]\nuse = 'mine'\nlimit = 7",
        "[routes.r]\ntargets = ['a/b', { to = 'c/d', weight = 2, timeouts = { silence = 5 } }]\nhedge = {}",
        "[callers]\nstore = 'file:callers.json'\n[callers.jwt]\nsecret = 'env:JWT_SECRET'",
        "[state]\nurl = 'redis://localhost'",
    ],
)
def test_what_is_right_is_right(text: str, validator: jsonschema_rs.Draft7Validator) -> None:
    """Plug-ins' own settings, dates, texts that stand for tables: all of that may be written."""
    assert validator.is_valid(read(text))


def test_every_setting_is_in_it() -> None:
    """Each top-level setting is described, and nothing else is allowed beside them."""
    made = json_schema()

    assert set(Settings.model_fields) == set(made["properties"])
    assert made["additionalProperties"] is False
