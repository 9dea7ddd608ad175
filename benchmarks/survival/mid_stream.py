"""Streams that break in the middle: every character the client has is right, and it knows what it has.

The vendor's text is cut at random characters and random bytes, in segments that arrive apart; what has to come of
it depends on the route's `recovery`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from random import Random
from typing import NamedTuple

from .asking import Answer, Http, Question, Way, wrong_characters
from .breaks import ENDINGS, Broken, break_off, with_a_flaw
from .config import Config
from .report import Row, counted
from .vendor import Asked, Script, Vendor
from .wire import streamed, text_of
from .world import World, at_once, through_all, usual

__all__ = ["MidStream"]

FULL, QUICK = 44, 11
LIMIT = 1.0
LATEST = 20.0  # whoever breaks off is noticed at once; the silent ones within their limit
AT_ONCE = 12
HOLD = 25
Route = tuple[str, str, str]  # its name, its mode, how its first target breaks
MODES = ("terminate", "hold", "buffer", "continue", "unbroken")
SILENT = [kind for kind in ENDINGS if "silence" in kind or "half" in kind]
# A second break in one answer must not be a silence: the last target of a route has the long limits.
AGAIN = [kind for kind in ENDINGS if kind not in SILENT]


class Verdict(NamedTuple):
    """What is wrong with an answer."""

    characters: int
    wrong: int
    complaint: str


@dataclass
class Story:
    """What a vendor said to one question, call by call; `sent` once all of it was on its way before the break."""

    mode: str
    kind: str
    broken: list[Broken] = field(default_factory=list)
    sent: bool = False

    def plan(self, asked: Asked) -> Script:
        """Break off at the first target; what the others do is the mode's."""
        random = Random(f"{asked.nonce}{asked.model}{len(self.broken)}")
        if self.mode == "unbroken":
            return with_a_flaw(asked, text_of(asked.nonce, "first"), random)
        if self.mode == "continue":
            return self._go_on(asked, random)
        return self._break(asked, "first", self.kind, random) if asked.model == "first" else usual(asked)

    def _go_on(self, asked: Asked, random: Random) -> Script:
        """Say what follows after the prefix, exactly; every second answer breaks twice."""
        text = text_of(asked.nonce, "first")
        rest = text[len(asked.prefix) :] if text.startswith(asked.prefix) else "that is not what was said"
        if not self.broken:
            return self._break(asked, "first", self.kind, random)
        if len(self.broken) == 1 and len(rest) > 12 and random.random() < 0.5:
            return self._keep(break_off(asked, rest, random.choice(AGAIN), random))
        return streamed(asked, rest, random)

    def _break(self, asked: Asked, who: str, kind: str, random: Random) -> Script:
        return self._keep(break_off(asked, text_of(asked.nonce, who), kind, random))

    def _keep(self, broken: Broken) -> Script:
        self.broken.append(broken)
        return broken.script


class MidStream:
    """Break streams after their first content, under each mode of recovery."""

    name = "mid-stream"

    def __init__(self, *, quick: bool) -> None:
        self._count = QUICK if quick else FULL
        self._routes: list[Route] = []

    def prepare(self, config: Config, vendor: Vendor) -> None:
        """Add a route for each stream; those that go on need a vendor that can."""
        for mode in MODES:
            for kind in islice(cycle(ENDINGS), self._count):
                kind_of_vendor = "deepseek" if mode == "continue" else "openai-compatible"
                first, second = (config.provider(kind_of_vendor) for _ in range(2))
                last = f"{second}/second" if mode == "continue" else f"{config.well}/well"
                options = {} if mode == "unbroken" else {"recovery": f'"{mode}"'}
                if mode == "hold":
                    options["hold"] = str(HOLD)
                limit = LIMIT if kind in SILENT and mode != "unbroken" else 0.0
                route = config.route([f"{first}/first", last], limit=limit, **options)
                self._routes.append((route, mode, kind))

    async def measure(self, world: World) -> list[Row]:
        """Ask through each way; ask the vendor itself for the same."""
        broken = [route for route in self._routes if route[1] != "unbroken"]
        alone = await at_once(AT_ONCE, broken, partial(self._alone, world))
        baseline = f"{sum(alone)} of {len(alone)}"
        found = await through_all(world.ways, self._routes, partial(self._one, world), AT_ONCE)
        return [row for way, results in found.items() for row in self._rows(way, results, baseline)]

    def _rows(self, way: str, found: list[Verdict], baseline: str) -> list[Row]:
        characters = [verdict.complaint for verdict in found for _ in range(verdict.wrong)]
        endings = [verdict.complaint for verdict in found if verdict.complaint and not verdict.wrong]
        total = sum(verdict.characters for verdict in found)
        return [
            counted("characters doubled or lost", way, characters, total, f"{baseline} streams broke"),
            counted("ends other than the route promises", way, endings, len(found), f"{baseline} not whole"),
        ]

    async def _one(self, world: World, way: Way, route: Route) -> Verdict:
        """Ask; judge the answer."""
        name, mode, kind = route
        question, story = Question(name), Story(mode, kind)
        world.vendor.plans[question.nonce] = story.plan
        answer = await world.ask(way, question)
        story.sent = world.vendor.calls(question.nonce)[0].reached.is_set()
        return judge(answer, question, story)

    async def _alone(self, world: World, route: Route) -> bool:
        """Ask the vendor without a gateway; tell whether the client has less than the answer."""
        question, story = Question("first"), Story("terminate", route[2])
        world.vendor.plans[question.nonce] = story.plan
        return not (await Http("direct", world.vendor.port, patience=2 * LIMIT).ask(question)).is_whole


def judge(answer: Answer, question: Question, story: Story) -> Verdict:
    """Count the wrong characters of an answer, and say what is wrong with it."""
    judge_it = JUDGES[story.mode]
    if not story.broken and story.mode != "unbroken":  # on a busy machine the limit may pass before it is asked
        judge_it = _of_another
    wrong, ending = judge_it(answer, question, story)
    if answer.seconds > LATEST:
        ending = f"{ending} after {answer.seconds:.0f} s"
    complaint = f"{story.mode}, {story.kind}: {ending or answer.ended} {answer.error}" if wrong or ending else ""
    return Verdict(len(answer.text), wrong, complaint)


def _whole(answer: Answer, expected: str) -> tuple[int, str]:
    return wrong_characters(
        expected, answer.text
    ), "" if answer.is_whole else f"{answer.ended}, {answer.roles} roles, {answer.usages} usages"


def _of_another(answer: Answer, question: Question, story: Story) -> tuple[int, str]:
    return _whole(answer, text_of(question.nonce, "well"))


def _of_the_first(answer: Answer, question: Question, story: Story) -> tuple[int, str]:
    return _whole(answer, text_of(question.nonce, "first"))


def _prefix_and_error(answer: Answer, question: Question, story: Story) -> tuple[int, str]:
    """What had arrived, then an error; a reset may take with it what was still under way.

    A busy machine's vendor may be too slow for the limit; it is cut off then, before it has said all.
    """
    said = story.broken[0].said
    if not story.broken[0].arrives or not story.sent:
        if answer.is_whole:  # nothing of it had arrived
            return _of_another(answer, question, story)
        said = said[: len(answer.text)]
    return wrong_characters(said, answer.text), "" if answer.ended == "error" else f"ended {answer.ended}"


def _held(answer: Answer, question: Question, story: Story) -> tuple[int, str]:
    """Another's whole answer where less was said than is held back, or where the end came together with the rest."""
    broken = story.broken[0]
    if len(broken.said) < HOLD or answer.is_whole:
        return _of_another(answer, question, story)
    return _prefix_and_error(answer, question, story)


Judge = Callable[[Answer, Question, Story], tuple[int, str]]
JUDGES: dict[str, Judge] = {
    "terminate": _prefix_and_error,
    "hold": _held,
    "buffer": _of_another,
    "continue": _of_the_first,
    "unbroken": _of_the_first,
}
