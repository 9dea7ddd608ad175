"""Streams that break before their first content: no client may notice.

Faults at random points: refused, slammed, reset, closed, half-closed, silent at any byte of the head and of the
events before the first content; statuses, pages, errors said inside a success, events that make no sense.
"""

from __future__ import annotations

from functools import partial
from random import Random

from .asking import Answer, Http, Question, Way
from .breaks import BEFORE
from .config import Config
from .report import Row, counted
from .vendor import Asked, Plan, Script, Vendor
from .wire import text_of
from .world import World, at_once, through_all, usual

__all__ = ["BeforeContent"]

FULL, QUICK = 200, 42
LIMIT = 0.5
TRIES = 3
AT_ONCE = 12
Story = tuple[str, list[str]]  # the route, and how each of its first targets breaks
KINDS = (*BEFORE, "torn", "torn", "torn", "refused", "slammed")


class BeforeContent:
    """Break the first target, in every fourth route the second too."""

    name = "before-content"

    def __init__(self, *, quick: bool) -> None:
        self._count = QUICK if quick else FULL
        self._routes: list[Story] = []

    def prepare(self, config: Config, vendor: Vendor) -> None:
        """Add a route for each stream, of providers nobody else asks."""
        random, ports = Random(2), {"refused": vendor.closed, "slammed": vendor.rude}
        for number in range(self._count):
            kinds = [KINDS[number % len(KINDS)], *random.choices(KINDS, k=number % 4 == 0)]
            targets = [f"{config.provider(port=ports.get(kind, 0))}/broken{i}" for i, kind in enumerate(kinds)]
            route = config.route(
                [*targets, f"{config.well}/well"], limit=LIMIT, retries="{ attempts = 6, same_target = 1 }"
            )
            self._routes.append((route, kinds))

    async def measure(self, world: World) -> list[Row]:
        """Ask through each way; ask the vendor itself for the same."""
        noticed = await at_once(AT_ONCE, self._routes, partial(self._alone, world))
        baseline = f"{sum(noticed)} of {len(noticed)}"
        found = await through_all(world.ways, self._routes, partial(self._one, world), AT_ONCE)
        figure = "broken before first content, noticed"
        return [counted(figure, way, list(filter(None, them)), len(them), baseline) for way, them in found.items()]

    async def _one(self, world: World, way: Way, story: Story) -> str:
        """Ask; say what the client noticed.

        On a machine so busy that the limit passes before the vendor hears of it, nothing is shown: ask again.
        """
        route, kinds = story
        heard = len(kinds) - kinds.count("refused") - kinds.count("slammed")
        for _ in range(TRIES):
            question = Question(route)
            world.vendor.plans[question.nonce] = _plan(kinds)
            complaint = _complaint(await world.ask(way, question), question, kinds)
            if complaint or sum(call.breaks for call in world.vendor.calls(question.nonce)) >= heard:
                return complaint
        return f"{'+'.join(kinds)}: was not asked"

    async def _alone(self, world: World, story: Story) -> bool:
        """Ask the vendor without a gateway; tell whether the client noticed."""
        question, kind = Question("broken0"), story[1][0]
        world.vendor.plans[question.nonce] = _plan([kind])
        port = {"refused": world.vendor.closed, "slammed": world.vendor.rude}.get(kind, world.vendor.port)
        return not (await Http("direct", port, patience=2 * LIMIT).ask(question)).is_whole


def _plan(kinds: list[str]) -> Plan:
    def plan(asked: Asked) -> Script:
        if asked.model == "well":
            return usual(asked)
        kind = kinds[int(asked.model.removeprefix("broken"))]
        return BEFORE[kind](asked, Random(asked.nonce + asked.model))

    return plan


def _complaint(answer: Answer, question: Question, kinds: list[str]) -> str:
    if answer.is_whole and answer.text == text_of(question.nonce, "well") and answer.models == {"well"}:
        return ""
    return f"{'+'.join(kinds)}: {answer.ended} {answer.status} {answer.error}"
