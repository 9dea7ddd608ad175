"""Which models exist, what they can do and cost: one table over all plug-ins."""

from ._cost import cost_of, price_at, windows
from ._estimate import Estimator, Size, expected_usage, size_of
from ._meter import FREE, Bill, Meter
from ._table import Catalogue

__all__ = [
    "FREE", "Bill", "Catalogue", "Estimator", "Meter", "Size", "cost_of", "expected_usage", "price_at", "size_of",
    "windows",
]  # fmt: skip  # a list of names
