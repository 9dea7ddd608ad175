"""The terminal: thin commands over the library. Data on stdout, progress on stderr."""

from ._app import run

__all__ = ["run"]
