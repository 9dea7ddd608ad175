"""What the operator knows of models: their tables, and how they go over what plug-ins ship."""

from ._described import described
from ._settings import ModelSettings, PriceSettings

__all__ = ["ModelSettings", "PriceSettings", "described"]
