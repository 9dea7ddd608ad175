"""What planning one request costs: twenty targets, with every filter on."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from aigateway import Gateway
from aigateway.config import parse
from aigateway.plugins import ProviderRecord, Registry, hookimpl
from aigateway.types import Call, Caller, ChatRequest, ModelInfo, Price, Reply, Target

__all__ = ["measure"]

TARGETS, PROVIDERS, PLANS = 20, 5, 400
ABLE = frozenset({"chat", "tools", "vision", "json_schema", "reasoning"})
PRICES = (Price(date(2020, 1, 1), 1_000_000, 2_000_000),)
CALLER = Caller("benchmark", models=("smart",))
WHEN = {"tags": ["bulk", "night"], "stream": False, "input_tokens_below": 50_000}
CASES = ("priority", "weighted", "cheapest", "fastest", "priority, half left out")


class Nobody:
    """Have models; nobody asks them."""

    operations = frozenset({"chat"})

    def __init__(self, name: str) -> None:
        self.name = name

    def models(self) -> tuple[ModelInfo, ...]:
        """List what a route goes to; every other one does not take images."""
        able = (ABLE, ABLE - {"vision"})
        numbers = range(int(self.name[1:]), TARGETS, PROVIDERS)
        return tuple(ModelInfo(f"m{n}", self.name, 100_000 + n, 8000, able[n % 2], PRICES) for n in numbers)

    async def answer(self, request: ChatRequest, target: Target) -> Reply:
        """Say nothing."""
        raise NotImplementedError


class Nobodies:
    """Offer them as a plug-in does."""

    @hookimpl
    def aigateway_providers(self) -> list[ProviderRecord]:
        """Offer five providers."""
        names = [f"p{n}" for n in range(PROVIDERS)]
        return [ProviderRecord(name, lambda options: Nobody(options.name), needs_key=False) for name in names]


def measure(rounds: int) -> dict[str, float]:
    """Give microseconds of CPU per plan, the best of some rounds, by policy."""
    return {case: min(_one(case) for _ in range(rounds)) for case in CASES}


def _one(case: str) -> float:
    gateway, request = _gateway(case.partition(",")[0]), _request(images="half" in case)
    calls = [gateway.call(request, caller=CALLER) for _ in range(PLANS)]
    _planned(gateway, calls[:10])
    begun = time.process_time()
    found = _planned(gateway, calls)
    spent = time.process_time() - begun
    if found != (TARGETS // 2 if "half" in case else TARGETS):
        raise AssertionError(f"{case}: {found} targets were planned")
    return spent / PLANS * 1e6


def _planned(gateway: Gateway, calls: list[Call]) -> int:
    return max(len(gateway.plan.candidates(call)) for call in calls)


def _gateway(policy: str) -> Gateway:
    registry = Registry(entries=[])
    registry.register(Nobodies(), "nobodies")
    targets = [{"to": f"p{n % PROVIDERS}/m{n}", "weight": 1 + n % 3, "when": WHEN} for n in range(TARGETS)]
    providers: dict[str, Any] = {f"p{n}": {} for n in range(PROVIDERS)}
    routes = {"smart": {"policy": policy, "targets": targets}}
    return Gateway(parse({"providers": providers, "routes": routes}), registry=registry, seed=1)


def _request(*, images: bool) -> ChatRequest:
    asked: list[Any] = [{"type": "text", "text": "What is it, and what is it for? " * 20}]
    asked += [{"type": "image_url", "image_url": {"url": "https://example.com/1.png"}}] if images else []
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    lists = {"only": [f"p{n}" for n in range(PROVIDERS)], "ignore": ["p0/none"], "order": ["p3"]}
    fields = {
        "model": "smart",
        "messages": [{"role": "system", "content": "Be brief. " * 20}, {"role": "user", "content": asked}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": parameters}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": parameters}},
        "reasoning_effort": "low",
        "max_tokens": 500,
        "routing": {"tags": ["bulk"], "max_price": {"input": 5, "output": 20}, **lists},
    }
    return ChatRequest.parse(fields)
