"""A gateway over models of which the catalogue knows what a test says."""

from __future__ import annotations

from datetime import date
from typing import Any

import anyio.lowlevel

from aigateway import Gateway
from aigateway.config import parse
from aigateway.plugins import ProviderRecord, Registry, hookimpl
from aigateway.types import ModelInfo, Price

from ..exchange.parts import Local, Parts

LONG_AGO = date(2020, 1, 1)


def model(name: str, **facts: Any) -> ModelInfo:
    """Describe `provider/id`; `price` is (input, output) in dollars per million tokens."""
    provider, _, id_ = name.partition("/")
    price = facts.pop("price", None)
    if price is not None:
        facts["prices"] = (Price(LONG_AGO, *(round(dollars * 1e6) for dollars in price)),)
    if "abilities" in facts:
        facts["abilities"] = frozenset({"chat", *facts["abilities"]})
    return ModelInfo(id_, provider, **facts)


class Knowing(Local):
    """Answer with a fixed text, as whoever knows its models."""

    known: tuple[ModelInfo, ...] = ()

    def models(self) -> tuple[ModelInfo, ...]:
        """List them."""
        return self.known


class Known(Parts):
    """Be the providers of these models; each answers with its name."""

    def __init__(self, *models: ModelInfo, **providers: Any) -> None:
        self.known: dict[str, tuple[ModelInfo, ...]] = {}
        for info in models:
            self.known[info.provider] = (*self.known.get(info.provider, ()), info)
        super().__init__(**{name: (lambda _, n=name: n) for name in self.known} | providers)  # type: ignore[misc]  # a default

    @hookimpl
    def aigateway_providers(self) -> list[ProviderRecord]:
        """Offer them."""
        return [ProviderRecord(name, lambda options, n=name: self._made(n), needs_key=False) for name in self.providers]  # type: ignore[misc]  # as above

    def _made(self, name: str) -> Knowing:
        made = Knowing(name, self.providers[name], self.calls)
        made.known = self.known.get(name, ())
        return made


class Still:
    """A clock that stands: plans need no event loop. It is Tuesday, 1 September 2026, 12:00 UTC."""

    def now(self) -> float:
        """Give the beginning."""
        return 0.0

    def wall(self) -> float:
        """Give the day."""
        return 1_788_264_000.0

    async def sleep(self, seconds: float, /) -> None:
        """Let others run."""
        await anyio.lowlevel.checkpoint()


def over(*models: ModelInfo, targets: list[Any] | None = None, **settings: Any) -> tuple[Gateway, Known]:
    """Make a gateway with a route `smart` over all of the models, unless the settings have routes."""
    parts, registry = Known(*models), Registry(entries=[])
    registry.register(parts, "known")
    listed = targets if targets is not None else [f"{info.provider}/{info.id}" for info in models]
    settings.setdefault("routes", {"smart": {"targets": listed}})
    data = {"providers": {name: {} for name in parts.providers}, **settings}
    return Gateway(parse(data), registry=registry, seed=1, clock=Still()), parts
