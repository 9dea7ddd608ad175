"""Lay what the operator says of models over what plug-ins ship."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ...errors import ConfigurationError
from ...types import ModelInfo

if TYPE_CHECKING:
    from .._settings import Settings

__all__ = ["described"]


def described(settings: Settings, shipped: Mapping[str, Sequence[ModelInfo]]) -> dict[str, list[ModelInfo]]:
    """Lay the tables of models over what the plug-ins ship. Raises ConfigurationError that says where."""
    tables = {name: {info.id: info for info in models} for name, models in shipped.items()}
    for name, model in settings.models.items():
        provider, _, id_ = name.partition("/")
        if not id_ or provider not in tables:
            raise _wrong(settings, name, f"no provider {provider!r} is configured", _providers(id_ or name, tables))
        known = tables[provider]
        if id_ not in known and shipped[provider] and not model.new:
            near = get_close_matches(id_, known, 1, 0.5)
            hint = f'Did you mean "{provider}/{near[0]}"? ' if near else ""
            raise _wrong(settings, name, f"{provider!r} has no such model", f"{hint}To add it, say new = true.")
        # What a model that nobody described can do is not known; it is asked for chat all the same.
        known[id_] = model.over(known.get(id_) or ModelInfo(id_, provider, abilities=frozenset()))
    for name, model in settings.models.items():
        if model.successor:
            _check_successor(settings, name, model.successor, tables)
    return {name: list(table.values()) for name, table in tables.items()}


def _providers(model: str, tables: Mapping[str, Mapping[str, ModelInfo]]) -> str:
    owner = next((name for name, table in tables.items() if model in table), None)
    if owner is not None:
        return f'Did you mean "{owner}/{model}"?'
    return f"Write provider/model; there is: {', '.join(tables) or 'no provider yet'}."


def _check_successor(
    settings: Settings, name: str, successor: str, tables: Mapping[str, Mapping[str, ModelInfo]]
) -> None:
    known = tables[name.partition("/")[0]]
    heir = known.get(successor)
    if heir is None:
        near = get_close_matches(successor, known, 1, 0.5)
        hint = f"Did you mean {near[0]!r}?" if near else "A successor is a model of the same provider, by its plain id."
        raise _wrong(settings, name, f"its successor {successor!r} is not known there", hint, "successor")
    if heir.successor is not None and heir.shutdown is None:
        hint = f"Name who answers for it: {heir.successor!r}."
        raise _wrong(settings, name, f"its successor {successor!r} is retired itself", hint, "successor")


def _wrong(settings: Settings, name: str, what: str, hint: str, *path: str) -> ConfigurationError:
    return ConfigurationError(f'{settings.locate("models", name, *path)}: models."{name}": {what}. {hint}')
