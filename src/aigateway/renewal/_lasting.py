"""What is known, whatever the settings say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from ..guards import Guard
from ..secrets import place
from ..state import Decisions, Health, Journal, Memory, Mirror

if TYPE_CHECKING:
    from ..config import Settings
    from ..parts import Parts
    from ..types import Clock

__all__ = ["Lasting"]


class Lasting:
    """Hold what is known whatever the settings say: one for a gateway and all that it is renewed into.

    `open` is which of these are open, with what each one uses.
    """

    def __init__(self, settings: Settings, clock: Clock, seed: int | None) -> None:
        self.clock = clock
        self.seed = SystemRandom().getrandbits(32) if seed is None else seed
        self.random = Random(self.seed)  # noqa: S311  # jitter, not cryptography
        self.ids = Random(self.seed)  # noqa: S311  # apart: who names requests decides nothing about routing
        self.memory = Memory(random=self.random)
        self.memory.rests.now = clock.now
        self.health = Health(self.memory, self.random)
        self.decisions = Decisions(settings.decisions.keep, _journal(settings))
        self.open: dict[object, Parts] = {}

    def leave(self, gateway: object, parts: Parts) -> tuple[Sequence[Guard], Mirror | None, bool]:
        """Give the guards and the mirror that nobody but this gateway uses, which closes; and if it is the last."""
        self.open.pop(gateway, None)
        others = list(self.open.values())
        used = {id(part) for other in others for part in (*other.guards, other.mirror)}
        mirror = parts.mirror if id(parts.mirror) not in used else None
        if mirror is not None and others and getattr(self.memory.rests.tell, "__self__", None) is mirror:
            self.memory.rests.tell = None  # nobody is told any more
        return [guard for guard in parts.guards if id(guard) not in used], mirror, not others


def _journal(settings: Settings) -> Journal | None:
    """Make what writes decisions into a file, where one is named."""
    table = settings.decisions
    return Journal(place(Path(table.file), settings.context.base), table.rotate) if table.file else None
