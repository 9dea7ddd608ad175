"""Which models exist, what they can do and cost: one table over all plug-ins."""

from ._caps import check_caps
from ._cost import cost_of, price_at, windows
from ._estimate import Estimator, Size, expected_usage, size_of
from ._listings import Listings
from ._meter import FREE, Bill, Meter
from ._ranking import base_price, provider_rows, ranking_rows, visible
from ._table import Catalogue, lives

__all__ = [
    "FREE", "Bill", "Catalogue", "Estimator", "Listings", "Meter", "Size", "base_price", "check_caps", "cost_of",
    "expected_usage", "lives", "price_at", "provider_rows", "ranking_rows", "size_of", "visible", "windows",
]  # fmt: skip  # a list of names
