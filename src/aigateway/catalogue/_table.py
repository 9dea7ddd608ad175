"""Which models exist: one table over all configured providers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date

from ..types import ModelInfo

__all__ = ["Catalogue", "lives"]


class Catalogue(Mapping[str, Mapping[str, ModelInfo]]):
    """Map a provider's name to its models by id; providers keep the configuration's order."""

    def __init__(self, providers: Mapping[str, Iterable[ModelInfo]]) -> None:
        self._described = {name: {model.id: model for model in models} for name, models in providers.items()}
        self._tables: dict[str, dict[str, ModelInfo]] = dict(self._described)
        self._listed: dict[str, frozenset[str]] = {}

    def __getitem__(self, provider: str) -> Mapping[str, ModelInfo]:
        return self._tables[provider]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def info(self, provider: str, model: str) -> ModelInfo | None:
        """Give what is known of one model."""
        return self._tables.get(provider, {}).get(model)

    def living(self, today: date) -> Iterator[ModelInfo]:
        """List the models that answer themselves today; retired names are left out."""
        for table in self._tables.values():
            for model in table.values():
                if lives(model, today):
                    yield model

    def learn(self, provider: str, ids: Collection[str]) -> None:
        """Take in what a vendor lists: ids nobody described are known from now on, without facts; no fact is lost."""
        described = self._described[provider]
        named = {id_: ModelInfo(id_, provider, abilities=frozenset()) for id_ in ids if id_ not in described}
        self._listed[provider] = frozenset(ids)
        self._tables[provider] = {**described, **named}

    def is_listed(self, info: ModelInfo) -> bool | None:
        """Tell whether its vendor lists a model; None while no list is known."""
        listed = self._listed.get(info.provider)
        return None if listed is None else info.id in listed


def lives(model: ModelInfo, today: date) -> bool:
    """Tell whether a model answers itself today."""
    return model.successor is None or (model.shutdown is not None and model.shutdown > today)
