"""Read a plug-in's catalogue: `models.toml` beside its module.

Prices are texts in US dollars per million tokens (per image for images), so that no figure is
ever a float: "0.15" is 150,000 picodollars per token.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from importlib.resources import files
from typing import Any

from ..errors import ConfigurationError
from ..types import ModelInfo, Price

__all__ = ["load_models", "parse_models"]

# Prices per million tokens; an image has one of its own.
BUCKETS = ("input", "output", "cached", "cache_write", "image_input", "image_output")


def load_models(module: str, provider: str) -> tuple[ModelInfo, ...]:
    """Read the file of the package that holds `module`; empty where there is none.

    Raises ConfigurationError that names the plug-in and what is wrong in its file.
    """
    package = module if not module.rpartition(".")[2].startswith("_") else module.rpartition(".")[0]
    try:
        text = (files(package) / "models.toml").read_text(encoding="utf-8")
    except (FileNotFoundError, ModuleNotFoundError, TypeError):
        return ()
    try:
        return parse_models(tomllib.loads(text), provider)
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise ConfigurationError(f"models.toml of {package} is wrong: {error}. Report it to its author.") from None


def parse_models(data: Mapping[str, Any], provider: str) -> tuple[ModelInfo, ...]:
    """Turn the tables `models` and `retired` into a catalogue, in the file's order."""
    models = [_model(dict(row), provider) for row in data.get("models", ())]
    retired = [_retired(dict(row), provider) for row in data.get("retired", ())]
    return (*models, *retired)


def _model(row: dict[str, Any], provider: str) -> ModelInfo:
    prices = tuple(_price(dict(price)) for price in row.pop("prices", ()))
    abilities = frozenset(row.pop("abilities", ["chat"]))
    return ModelInfo(provider=provider, abilities=abilities, prices=prices, **row)


def _retired(row: dict[str, Any], provider: str) -> ModelInfo:
    params, successor = row.pop("params", {}), row.pop("successor")
    return ModelInfo(provider=provider, successor=successor, successor_params=params, **row)


def _price(row: dict[str, Any]) -> Price:
    for name in (*BUCKETS, "per_image"):
        if name in row:
            if not isinstance(row[name], str):
                raise ValueError(f'the price {name} = {row[name]} must be a text, such as "0.15"')
            row[name] = int(Decimal(row[name]) * (10**12 if name == "per_image" else 10**6))
    return Price(**{**row, "hours": tuple(row.pop("hours", ())), "not_on": tuple(row.pop("not_on", ()))})
