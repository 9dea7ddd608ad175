"""HTTP in, HTTP out: the adapter translates, admits and answers; the gateway does the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._as_caller import explain_as
from ._door import is_loopback
from ._who import Who, file_store, weekly_keys

if TYPE_CHECKING:
    from ._app import App, Load, create_app

__all__ = ["App", "Load", "Who", "create_app", "explain_as", "file_store", "is_loopback", "weekly_keys"]


def __getattr__(name: str) -> Any:
    """Import starlette where an application is made, and not for commands that ask about keys alone."""
    if name not in {"App", "Load", "create_app"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _app

    return getattr(_app, name)
