"""Providers that say nothing: the client is answered by the next one, soon after the limit for first content."""

from __future__ import annotations

from functools import partial

from .asking import Question, Way
from .breaks import SILENCES
from .config import Config
from .report import Row, milliseconds
from .vendor import Asked, Script, Vendor
from .world import World, through_all, usual

__all__ = ["Silence"]

FULL, QUICK = 6, 1
Story = tuple[str, bool, str]  # the route, whether a stream is asked for, what is sent instead of an answer
LIMIT, SLACK = 1.0, 1.0
AT_ONCE = 16


class Silence:
    """Ask a target that keeps a connection busy and says nothing, plain and streamed."""

    name = "silence"

    def __init__(self, *, quick: bool) -> None:
        self._times = QUICK if quick else FULL
        self._quick = quick
        self._routes: list[Story] = []

    def prepare(self, config: Config, vendor: Vendor) -> None:
        """Add a route for each request, of providers nobody else asks."""
        for stream, kinds in SILENCES.items():
            for kind in list(kinds) * self._times:
                route = config.route([f"{config.provider()}/broken", f"{config.well}/well"], limit=LIMIT)
                self._routes.append((route, stream, kind))

    async def measure(self, world: World) -> list[Row]:
        """Ask through each way; ask the fallback itself for comparison."""
        direct = [await world.direct.ask(Question("well", stream=stream)) for stream in (True, False) * 5]
        baseline = f"{milliseconds(max(answer.seconds for answer in direct))} by the fallback alone"
        found = await through_all(world.ways, self._routes, partial(self._one, world), AT_ONCE)
        return [self._row(way, results, baseline) for way, results in found.items()]

    def _row(self, way: str, found: list[tuple[float, str]], baseline: str) -> Row:
        slowest = max(seconds for seconds, _ in found)
        wrong = [complaint for _, complaint in found if complaint]
        kept = None if self._quick else slowest <= LIMIT + SLACK
        return Row(
            "silent: answered by the next",
            way,
            f"<= {LIMIT:g} s limit + {SLACK:g} s",
            f"{slowest:.2f} s, the slowest of {len(found)}",
            False if wrong else kept,
            baseline,
            wrong[:3],
        )

    async def _one(self, world: World, way: Way, story: Story) -> tuple[float, str]:
        """Give the seconds to the first content, and what was wrong."""
        route, stream, kind = story
        question = Question(route, stream=stream)

        def plan(asked: Asked) -> Script:
            return usual(asked) if asked.model == "well" else Script(SILENCES[stream][kind](asked), "hang", breaks=True)

        world.vendor.plans[question.nonce] = plan
        answer = await world.ask(way, question)
        calls = [call.asked.model for call in world.vendor.calls(question.nonce)]
        if not answer.is_whole or calls != ["broken", "well"]:
            return answer.first, f"{kind}: {answer.ended} {answer.status} {answer.error} after {calls}"
        return answer.first, ""
