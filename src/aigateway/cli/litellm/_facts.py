"""What LiteLLM's file says of models themselves: prices and windows, as our tables of models say them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

from ._notes import Notes, as_number

__all__ = ["facts_of", "is_fact"]

# LiteLLM's prices are dollars per token, ours per million; an image costs the same in both.
COSTS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached",
    "cache_creation_input_token_cost": "cache_write",
    "output_cost_per_image": "per_image",
}
COST = re.compile(rf"({'|'.join(COSTS)})(?:_above_(\d{{1,5}})k_tokens)?(?:_(priority|flex))?")
WINDOWS = {"max_input_tokens": "window", "max_output_tokens": "max_output", "max_tokens": "max_output"}
DEAREST, LARGEST = 1_000_000, 10**9
# Decimal places of a price per million, and of one per image.
PLACES = {"per_image": 12}
# What else may be said of a model, and why nothing becomes of it.
SAID = {
    "base_model": "windows and prices are those of the plug-in's catalogue, or what is written in [models]",
    "access_groups": "give client keys models = [...]",
    "supports_": "nobody is refused for what is not known; to have it checked, write abilities = [...] in [models]",
    "health_check": "targets that fail are noticed by the calls themselves",
    "cost": "only prices per token, cached or not, and per image are taken; write the others into [models]",
}
# Labels that change nothing.
LABELS = {"id", "db_model", "mode", "litellm_provider", "description", "metadata", "created_at", "updated_at"}


def is_fact(setting: str) -> bool:
    """Tell whether a setting of a deployment is a price of its model."""
    return "cost" in setting


def facts_of(params: Mapping[str, Any], info: object, notes: Notes, where: str) -> dict[str, Any]:
    """Give the table of a model; what is left out is noted, with the reason."""
    said = info if isinstance(info, dict) else {}
    costs = {str(name): value for name, value in params.items() if is_fact(str(name))}
    costs |= {str(name): value for name, value in said.items() if is_fact(str(name))}
    found: dict[str, Any] = {}
    for name, ours in WINDOWS.items():
        tokens = as_number(said.get(name))
        if tokens is not None and 1 <= tokens <= LARGEST:
            found.setdefault(ours, int(tokens))
    prices = _rows(costs, notes, where)
    if prices:
        found["prices"] = prices
    for name, value in said.items():
        if value not in (None, "", [], {}) and not is_fact(str(name)) and name not in WINDOWS and name not in LABELS:
            notes.add(f"{where}: model_info.{name}: left out: {_why(str(name))}.")
    return found


def _rows(costs: Mapping[str, object], notes: Notes, where: str) -> list[dict[str, Any]]:
    """Give a row for each size and tier; what such a row does not say is as in the usual one."""
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for name, value in costs.items():
        if value is None:
            continue
        known = COST.fullmatch(name)
        price = _price(value, COSTS[known[1]]) if known else None
        if known is None or price is None:
            why = SAID["cost"] if known is None else "it is no price in dollars"
            notes.add(f"{where}: {name}: left out: {why}.")
            continue
        rows.setdefault((int(known[2] or 0) * 1000, known[3] or ""), {})[COSTS[known[1]]] = price
    return [_row(*key, {**rows.get((0, ""), {}), **rows[key]}) for key in sorted(rows)]


def _row(above: int, tier: str, prices: Mapping[str, str]) -> dict[str, Any]:
    more: dict[str, Any] = {"above_tokens": above} if above else {}
    return {**prices, **more, **({"tier": tier} if tier else {})}


def _price(value: object, bucket: str) -> str | None:
    """Write dollars per token as dollars per million, to the last place our prices have."""
    number = as_number(value)
    if number is None or number < 0:
        return None
    with localcontext(prec=50):
        dollars = Decimal(str(value).strip()) * (1 if bucket == "per_image" else 1_000_000)
        if dollars > DEAREST:
            return None
        return f"{round(dollars, PLACES.get(bucket, 6)).normalize():f}"


def _why(name: str) -> str:
    known = (why for start, why in SAID.items() if name.startswith(start))
    return next(known, "it changes nothing of where a request goes, or of what it costs")
