"""What goes on when settings change while a gateway serves: what is known, and parts that are the same.

Nothing here changes what is in use: a gateway whose settings turn out wrong half-way leaves no trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Self

from .guards import Guard
from .keys import Ring, Rotation, Slot
from .secrets import place
from .state import Decisions, Health, Journal, Memory, Mirror

if TYPE_CHECKING:
    from .catalogue import Estimator
    from .config import KeySettings, ProviderSettings, Settings
    from .gateway import Gateway
    from .parts import Parts
    from .providers import LocalProvider, Provider
    from .routing import Policy
    from .types import Clock

__all__ = ["Before", "Lasting"]


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
        """Give the guards and the mirror that nobody but this gateway uses, which closes; and whether it is the last."""
        self.open.pop(gateway, None)
        others = list(self.open.values())
        used = {id(part) for other in others for part in (*other.guards, other.mirror)}
        mirror = parts.mirror if id(parts.mirror) not in used else None
        if mirror is not None and others and getattr(self.memory.rests.tell, "__self__", None) is mirror:
            self.memory.rests.tell = None  # nobody is told any more
        return [guard for guard in parts.guards if id(guard) not in used], mirror, not others


class Before:
    """Find, among the parts of the gateway before, what other settings mean the same; without one, nothing."""

    def __init__(self, settings: Settings | None = None, parts: Parts | None = None) -> None:
        self._settings = settings
        self._parts = parts

    @classmethod
    def of(cls, gateway: Gateway | None) -> Self:
        """Look at a gateway."""
        return cls() if gateway is None else cls(gateway.settings, gateway.parts)

    @property
    def estimator(self) -> Estimator | None:
        """Give what has learned how many tokens texts make."""
        return self._parts.estimator if self._parts is not None else None

    def provider(self, name: str, table: ProviderSettings) -> Provider | LocalProvider | None:
        """Give the provider that was made with the same settings; its keys are the ring's."""
        before = self._table(name)
        if self._parts is None or before is None:
            return None
        made_with = (table.type, table.base_url, table.own)
        return self._parts.providers[name] if made_with == (before.type, before.base_url, before.own) else None

    def ring(self, name: str, table: ProviderSettings) -> Ring | None:
        """Give the ring of the same keys under the same rotation, with all it knows of them."""
        before = self._table(name)
        if self._parts is None or before is None or len(before.keys) != len(table.keys):
            return None
        same = all(map(_same, before.keys, table.keys)) and before.grace == table.grace
        return self._parts.rings[name] if same and before.rotation == table.rotation else None

    def rotation(self, name: str, table: ProviderSettings) -> Rotation | None:
        """Give the rotation, where another one is not named."""
        before = self._table(name)
        same = self._parts is not None and before is not None and before.rotation == table.rotation
        return self._parts.rings[name].rotation if same and self._parts is not None else None

    def slot(self, name: str, table: ProviderSettings, key: KeySettings) -> Slot | None:
        """Give the place of the same key: its calls under way are counted there."""
        before = self._table(name)
        if self._parts is None or before is None or before.grace != table.grace:
            return None
        pairs = zip(before.keys, self._parts.rings[name].slots, strict=False)
        return next((slot for other, slot in pairs if _same(other, key)), None)

    def heard(self, name: str, slot: Slot) -> Slot:
        """Let a new place know what is known of its key, which has other settings than before; give it back."""
        for other in self._parts.rings[name].slots if self._parts is not None and self._table(name) else ():
            if slot.current.secret is not None and slot.current.secret == other.current.secret:
                slot.uses, slot.limits, slot.heard = other.uses, other.limits, other.heard
        return slot

    def guards(self, settings: Settings) -> list[Guard | None]:
        """Give, for each guard of the settings, the one that was made with the same."""
        if self._parts is None or self._settings is None or self.mirror(settings) is not self._parts.mirror:
            return [None] * len(settings.guards)
        free = list(zip(self._settings.guards, self._parts.guards, strict=True))
        found: list[Guard | None] = []
        for table in settings.guards:
            at = next((number for number, (other, _) in enumerate(free) if other == table), None)
            found.append(None if at is None else free.pop(at)[1])
        return found

    def mirror(self, settings: Settings) -> Mirror | None:
        """Give the connection to the same place."""
        if self._parts is None or self._settings is None:
            return None
        here, there = self._settings, settings
        return self._parts.mirror if (here.state, here.context.base) == (there.state, there.context.base) else None

    def policy(self, route: str, name: str) -> Policy | None:
        """Give the policy of the same name a route had, with whose turn it is."""
        same = self._parts is not None and self._parts.policy_names.get(route) == name
        return self._parts.policies[route] if same and self._parts is not None else None

    def _table(self, name: str) -> ProviderSettings | None:
        return self._settings.providers.get(name) if self._settings is not None else None


def _same(one: KeySettings, other: KeySettings) -> bool:
    """Tell whether two settings mean one key; what stands in a file is looked after by the place that watches it."""
    watched = one.secret.source == other.secret.source and one.secret.source.startswith("file:")
    return one.model_copy(update={"secret": other.secret}) == other and (watched or one.secret == other.secret)


def _journal(settings: Settings) -> Journal | None:
    """Make what writes decisions into a file, where one is named."""
    table = settings.decisions
    return Journal(place(Path(table.file), settings.context.base), table.rotate) if table.file else None
