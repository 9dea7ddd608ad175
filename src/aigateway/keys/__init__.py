"""With which key: rings, rotations and leases of vendor keys; no I/O."""

from ._headroom import headroom
from ._key import Key, Slot, Source
from ._ring import Lease, Leases, Ring, Wanted
from ._rotations import ROTATIONS, KeyView, Rotation, Turn

__all__ = [
    "ROTATIONS", "Key", "KeyView", "Lease", "Leases", "Ring", "Rotation", "Slot", "Source", "Turn", "Wanted",
    "headroom",
]  # fmt: skip  # a list of names
