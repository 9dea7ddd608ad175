"""Which parts of a gateway other settings mean the same.

Nothing here changes what is in use: settings that turn out wrong half-way leave no trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ..guards import Guard
from ..keys import Ring, Rotation, Slot
from ..state import Mirror

if TYPE_CHECKING:
    from ..catalogue import Estimator, Listings
    from ..config import KeySettings, ProviderSettings, Settings
    from ..gateway import Gateway
    from ..parts import Parts
    from ..providers import LocalProvider, Provider
    from ..routing import Policy

__all__ = ["Before"]


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

    @property
    def listings(self) -> Listings | None:
        """Give what vendors listed last."""
        return self._parts.listings if self._parts is not None else None

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
