"""With which key: rings and leases of vendor keys; no I/O."""

from ._ring import Key, Lease, Leases, Ring

__all__ = ["Key", "Lease", "Leases", "Ring"]
