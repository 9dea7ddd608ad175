"""Names routes can have."""

from __future__ import annotations

from ...routing import SUFFIXES

__all__ = ["askable"]


def askable(written: str) -> str:
    """Give a name that a route can have, as near to what is written as can be."""
    name = " ".join("".join(sign if sign.isprintable() else " " for sign in written).split())
    for suffix in SUFFIXES:
        name = f"{name.removesuffix(suffix)}-{suffix[1:]}" if name.endswith(suffix) else name
    return name or "unnamed"
