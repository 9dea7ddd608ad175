"""From LiteLLM's config.yaml to a configuration of ours, and a word on each setting that has no counterpart."""

from __future__ import annotations

from ._convert import Converted, convert
from ._read import read_yaml

__all__ = ["Converted", "convert", "read_yaml"]
