"""From a call to the candidates it is tried at, for a real call and for a dry run alike."""

from ._plan import Plan

__all__ = ["Plan"]
