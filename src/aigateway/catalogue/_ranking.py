"""Who does best, by measured use."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..state import Use
from ..types import Caller, ModelInfo, Price
from ._table import Catalogue

__all__ = ["base_price", "provider_rows", "ranking_rows", "visible"]

Uses = Mapping[tuple[str, str], Use]
NOBODY = Use()


def visible(catalogue: Catalogue, caller: Caller, at: float) -> list[ModelInfo]:
    """List the living models a caller may ask for, at a moment in seconds since the epoch."""
    living = catalogue.living(datetime.fromtimestamp(at, UTC).date())
    return [info for info in living if caller.may_use(info.id, f"{info.provider}/{info.id}")]


def ranking_rows(catalogue: Catalogue, caller: Caller, uses: Uses, at: float) -> list[dict[str, Any]]:
    """Rank the models a caller may ask for, best first; those nobody measured stand last, in the catalogue's order."""
    rows = []
    for info in visible(catalogue, caller, at):
        use, price = uses.get((info.provider, info.id), NOBODY), base_price(info, at)
        row = {
            "id": f"{info.provider}/{info.id}",
            "score": _score(use),
            "requests": use.requests,
            **_measured(use),
            "tokens_per_s": None if use.tokens_per_s is None else round(use.tokens_per_s, 1),
            "price": {"input": _dollars(price.input), "output": _dollars(price.output)} if price else None,
        }
        rows.append(row)
    rows.sort(key=_place)
    return [{"rank": rank, **row} for rank, row in enumerate(rows, 1)]


def provider_rows(
    names: Iterable[str], models: Collection[ModelInfo], uses: Uses, healthy: Mapping[str, bool]
) -> list[dict[str, Any]]:
    """Sum use up by provider, over these models alone; a provider without one is left out."""
    rows = []
    for name in names:
        ours = [info for info in models if info.provider == name]
        if ours:
            use = _summed([uses[name, info.id] for info in ours if (name, info.id) in uses])
            rows.append({"id": name, "models": len(ours), "healthy": healthy[name], **_measured(use)})
    return rows


def base_price(info: ModelInfo, at: float) -> Price | None:
    """Give the price in force at any hour and for any size."""
    today = datetime.fromtimestamp(at, UTC).date()
    rows = [
        row
        for row in info.prices
        if row.since <= today
        and (row.until is None or today < row.until)
        and not (row.hours or row.above_tokens or row.tier)
    ]
    return max(rows, key=lambda row: row.since, default=None)


def _score(use: Use) -> float | None:
    """Give 0 to 100: success first, then the first content and the speed; what is not measured counts a half."""
    if not use.complete + use.failed:
        return None
    success = (use.complete + 1) / (use.complete + use.failed + 2)
    quick = 0.5 if use.first_content is None else 1 / (1 + use.first_content)
    fluent = 0.5 if use.tokens_per_s is None else use.tokens_per_s / (use.tokens_per_s + 50)
    return round(100 * success * (0.7 + 0.15 * quick + 0.15 * fluent), 2)


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    if row["score"] is None:
        return (1,)  # sorting is stable
    price = row["price"] or {}
    known = [price.get("input"), price.get("output")]
    return (0, -row["score"], sum(known) if None not in known else float("inf"), row["id"])


def _measured(use: Use) -> dict[str, Any]:
    rate, first = use.success_rate, use.first_content
    return {
        "success_rate": None if rate is None else round(rate, 4),
        "first_content_ms": None if first is None else round(first * 1000, 1),
    }


def _summed(uses: Collection[Use]) -> Use:
    """Add up; averages weigh as much as their target was asked."""
    timed = [(use.requests, use.first_content) for use in uses if use.first_content is not None]
    weight = sum(requests for requests, _ in timed)
    first = sum(requests * seconds for requests, seconds in timed) / weight if weight else None
    totals = (sum(use.requests for use in uses), sum(use.complete for use in uses), sum(use.failed for use in uses))
    return Use(*totals, first)


def _dollars(picodollars_per_token: int | None) -> float | None:
    return None if picodollars_per_token is None else picodollars_per_token / 1_000_000
