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

from ..types import ModelInfo, Price

__all__ = ["load_models", "parse_models"]

BUCKETS = ("input", "output", "cached", "cache_write")


def load_models(module: str, provider: str) -> tuple[ModelInfo, ...]:
    """Read the file of the package that holds `module`; empty where there is none."""
    package = module if not module.rpartition(".")[2].startswith("_") else module.rpartition(".")[0]
    try:
        text = (files(package) / "models.toml").read_text(encoding="utf-8")
    except (FileNotFoundError, ModuleNotFoundError, TypeError):
        return ()
    return parse_models(tomllib.loads(text), provider)


def parse_models(data: Mapping[str, Any], provider: str) -> tuple[ModelInfo, ...]:
    """Turn the tables `models` and `retired` into a catalogue, in the file's order."""
    models = [_model(row, provider) for row in data.get("models", ())]
    retired = [
        ModelInfo(
            row["id"],
            provider,
            shutdown=row.get("shutdown"),
            successor=row["successor"],
            successor_params=row.get("params", {}),
        )
        for row in data.get("retired", ())
    ]
    return (*models, *retired)


def _model(row: Mapping[str, Any], provider: str) -> ModelInfo:
    return ModelInfo(
        row["id"],
        provider,
        window=row.get("window", 0),
        max_output=row.get("max_output", 0),
        abilities=frozenset(row.get("abilities", ["chat"])),
        prices=tuple(_price(price) for price in row.get("prices", ())),
        released=row.get("released"),
        shutdown=row.get("shutdown"),
        successor=row.get("successor"),
    )


def _price(row: Mapping[str, Any]) -> Price:
    amounts = {name: int(Decimal(row[name]) * 1_000_000) for name in BUCKETS if name in row}
    return Price(
        since=row["since"],
        **amounts,
        per_image=int(Decimal(row["per_image"]) * 10**12) if "per_image" in row else None,
        above_tokens=row.get("above_tokens", 0),
        hours=tuple(row.get("hours", ())),
        label=row.get("label", ""),
    )
