"""HTTP in, HTTP out: the adapter translates, admits and answers; the gateway does the rest."""

from ._app import App, create_app
from ._door import is_loopback
from ._who import file_store, weekly_keys

__all__ = ["App", "create_app", "file_store", "is_loopback", "weekly_keys"]
