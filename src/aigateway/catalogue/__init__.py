"""Which models exist, what they can do and cost: one table over all plug-ins."""

from ._table import Catalogue

__all__ = ["Catalogue"]
