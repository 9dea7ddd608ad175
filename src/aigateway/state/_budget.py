"""How many second calls a provider is worth: a purse that failures empty and answers fill."""

from __future__ import annotations

__all__ = ["THROTTLED", "TRANSIENT", "Budget"]

FULL = 500.0
# What a second call to the same provider within one request costs.
TRANSIENT, THROTTLED = 14.0, 5.0


class Budget:
    """Hold what is left for second calls to one provider."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = FULL

    def take(self, price: float) -> bool:
        """Pay for a second call; False when the purse is too empty."""
        if price > self.left:
            return False
        self.left -= price
        return True

    def refund(self, price: float) -> None:
        """Give back what an answered call had cost; one that cost nothing fills the purse by one."""
        if self.left < FULL:
            self.left = min(FULL, self.left + max(price, 1.0))
