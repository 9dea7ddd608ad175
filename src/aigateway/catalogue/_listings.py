"""What vendors list: asked for on demand, kept in a file where there is one; never on the way of a request."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from ..errors import ConfigurationError
from ..state import Document
from ..types import Clock
from ._table import Catalogue

__all__ = ["Listings"]

LOG = logging.getLogger("aigateway.catalogue")
# Seconds after which a list that was kept is not believed any more.
LONGEST = 7 * 86_400.0
# Ids taken of one vendor, and how long one may be: Featherless lists some 22,000.
MOST, LONGEST_ID = 50_000, 256


class Listing(NamedTuple):
    """What one vendor listed, when (seconds since the epoch), and where it was asked."""

    at: float
    home: str
    ids: tuple[str, ...]


class Listings:
    """Keep what vendors list, and let the catalogue know it.

    `homes` are the base URLs of the providers: a list that was kept for another one is not this one's.
    """

    def __init__(
        self, catalogue: Catalogue, homes: Mapping[str, str], clock: Clock, document: Document | None = None
    ) -> None:
        self._catalogue = catalogue
        self._homes = homes
        self._clock = clock
        self._kept: dict[str, Listing] = {}
        self.document = document

    def load(self) -> None:
        """Take in what was kept; what is too old, of another place, or no list is passed over."""
        if self.document is None:
            return
        try:
            rows = self.document.read().get("providers")
        except ConfigurationError as error:
            LOG.warning("%s The lists of models in it are passed over.", error.message)
            return
        for name, row in rows.items() if isinstance(rows, dict) else ():
            listing = _read(row)
            age = self._clock.wall() - listing.at if listing else LONGEST
            if listing is not None and 0 <= age < LONGEST and self._homes.get(name) == listing.home:
                self._kept[name] = listing
                self._catalogue.learn(name, listing.ids)

    def follow(self, before: Listings) -> None:
        """Take over what others have of the same places: what was listed last, whether or not it is in a file."""
        for name, listing in before._kept.items():  # one of us
            if self._homes.get(name) == listing.home:
                self._kept[name] = listing
                self._catalogue.learn(name, listing.ids)

    def save(self) -> None:
        """Keep the lists; a file that cannot be written is said, and no more."""
        if self.document is None:
            return
        rows = {name: listing._asdict() for name, listing in self._kept.items()}
        try:
            self.document.write({"version": 1, "providers": rows})
        except ConfigurationError as error:
            LOG.warning("%s What vendors list is known to this process only.", error.message)

    def take(self, provider: str, ids: Sequence[str]) -> dict[str, Any]:
        """Take in what a vendor lists now; tell what became known, and what is known and not listed."""
        listing = Listing(self._clock.wall(), self._homes.get(provider, ""), _sane(ids))
        before = self._catalogue[provider]
        listed = set(listing.ids)
        new = [id_ for id_ in listing.ids if id_ not in before]
        gone = [info.id for info in before.values() if info.successor is None and info.id not in listed]
        self._kept[provider] = listing
        self._catalogue.learn(provider, listing.ids)
        return {"provider": provider, "models": len(listing.ids), "new": new, "gone": gone, "error": None}


def _sane(ids: Sequence[object]) -> tuple[str, ...]:
    """Take the ids that can be ids, each once."""
    fine = (id_ for id_ in ids if isinstance(id_, str) and 0 < len(id_) <= LONGEST_ID and id_.isprintable())
    return tuple(dict.fromkeys(fine))[:MOST]


def _read(row: object) -> Listing | None:
    """Read a list from the file; None for what is none."""
    if not isinstance(row, dict):
        return None
    at, home, ids = row.get("at"), row.get("home"), row.get("ids")
    sound = isinstance(at, int | float) and isfinite(at) and isinstance(home, str) and isinstance(ids, list)
    return Listing(float(at), home, _sane(ids)) if sound else None  # type: ignore[arg-type]  # checked in `sound`
