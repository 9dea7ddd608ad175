"""What a target that fails at once adds to the time of an answer.

Every request meets a target nobody has asked before, which is the worst case: one that is known to be ill is not
asked at all. Requests are sent at fixed times, whatever became of the ones before them, those to the fallback alone
in between those that fail first.
"""

from __future__ import annotations

import asyncio
import gc
from collections import defaultdict

from ..plan import percentile
from .asking import Question
from .breaks import STATUSES, fail
from .config import Config
from .report import Row, milliseconds
from .vendor import Asked, Script, Vendor
from .world import World, usual

__all__ = ["FastFailure"]

FULL, QUICK = 500, 24
PER_SECOND = 100.0
DIRECT = "direct"
BOUND = 0.020
# A transient failure is tried again at the same target, by default once, after a random wait of up to this.
BACKOFF = 0.050
KINDS = ("refused", "500", "429", "401")
AGAIN = "500, tried again"
ONCE = "{ same_target = 0 }"


class FastFailure:
    """Compare answers of a fallback with and without a failure before them."""

    name = "fast-failure"

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        self._routes: list[tuple[str, str]] = []

    def prepare(self, config: Config, vendor: Vendor) -> None:
        """Add a route for each request, of providers nobody else asks."""
        well = f"{config.well}/well"
        for _ in range(QUICK if self._quick else FULL):
            self._routes.append((DIRECT, "well"))
            for kind in KINDS:
                port = vendor.closed if kind == "refused" else 0
                route = config.route([f"{config.provider(port=port)}/{kind}", well], retries=ONCE)
                self._routes.append((kind, route))
            self._routes.append((AGAIN, config.route([f"{config.provider()}/500", well])))

    async def measure(self, world: World) -> list[Row]:
        """Send all requests at their times, through the server."""
        times: defaultdict[str, list[float]] = defaultdict(list)
        wrong: list[str] = []
        loop = asyncio.get_running_loop()
        start = loop.time()

        async def ask(number: int, kind: str, route: str) -> None:
            await asyncio.sleep(start + number / PER_SECOND - loop.time())
            question = Question(route, stream=bool(number // 6 % 2))
            world.vendor.plans[question.nonce] = _plan
            answer = await world.ask(world.through, question)
            times[kind].append(answer.seconds)
            calls = [call.asked.model for call in world.vendor.calls(question.nonce)]
            if not answer.is_whole or calls != _expected(kind):
                wrong.append(f"{kind}: {answer.ended} {answer.status} {answer.error} after {calls}")

        gc.disable()  # a pause of this process, which is client and vendor, is not what is measured
        async with asyncio.TaskGroup() as group:
            for number, (kind, route) in enumerate(self._routes):
                group.create_task(ask(number, kind, route))
        gc.enable()
        return [self._row(kind, times, wrong) for kind in (*KINDS, AGAIN)]

    def _row(self, kind: str, times: dict[str, list[float]], wrong: list[str]) -> Row:
        """Compare the p99 of a kind with that of direct answers."""
        direct, found = times[DIRECT], times[kind]
        added = percentile(found, 0.99) - percentile(direct, 0.99)
        bound = BOUND + BACKOFF * (kind == AGAIN)
        median = percentile(found, 0.5) - percentile(direct, 0.5)
        cases = [case for case in wrong if case.startswith(f"{kind}:")]
        return Row(
            f"{kind}: failover adds at p99",
            "serve",
            f"<= {milliseconds(bound)}" + (" (back-off <= 50 ms)" if kind == AGAIN else ""),
            f"{milliseconds(added)} (median {milliseconds(median)})",
            False if cases else None if self._quick else added <= bound,
            f"p99 {milliseconds(percentile(direct, 0.99))}, median {milliseconds(percentile(direct, 0.5))}",
            cases[:3],
        )


def _plan(asked: Asked) -> Script:
    return fail(asked.model) if asked.model in STATUSES else usual(asked)


def _expected(kind: str) -> list[str]:
    """Say which models the vendor hears of."""
    first = {DIRECT: [], "refused": [], AGAIN: ["500", "500"]}.get(kind, [kind])
    return [*first, "well"]
