"""Answers that are given again: to the same question, to the same key of a client."""

from ._cache import Cache
from ._idempotency import Idempotency
from ._memo import Shelf

__all__ = ["Cache", "Idempotency", "Shelf"]
