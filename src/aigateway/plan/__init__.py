"""From a call to the candidates it is tried at, for a real call and for a dry run alike; and what can be asked for."""

from ._cards import find_card, model_cards
from ._plan import Plan

__all__ = ["Plan", "find_card", "model_cards"]
