"""HTTP in, HTTP out: the adapter translates, admits and answers; the gateway does the rest."""

from ._app import App, create_app
from ._door import is_loopback

__all__ = ["App", "create_app", "is_loopback"]
