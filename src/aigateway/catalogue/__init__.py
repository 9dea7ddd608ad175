"""Which models exist, what they can do and cost: one table over all plug-ins."""

from ._caps import check_caps
from ._cost import cost_of, price_at
from ._estimate import Estimator, Size, expected_usage, size_of
from ._table import Catalogue

__all__ = ["Catalogue", "Estimator", "Size", "check_caps", "cost_of", "expected_usage", "price_at", "size_of"]
