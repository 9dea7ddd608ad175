"""Which models exist, what they can do and cost: one table over all plug-ins."""

from ._cost import cost_of, expected_usage, price_at
from ._table import Catalogue

__all__ = ["Catalogue", "cost_of", "expected_usage", "price_at"]
