"""One Python object, or one URL, in front of every AI model provider.

Public names are imported when they are first used; importing the package does nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Settings
    from .errors import ConfigurationError, GatewayError, NoAnswer, ProviderError, RequestError, StreamInterrupted
    from .gateway import Gateway
    from .types import Caller, Chunk, Decision, Reply, Usage

__version__ = "0.1.0"

_ERRORS = ("ConfigurationError", "GatewayError", "NoAnswer", "ProviderError", "RequestError", "StreamInterrupted")
_HOME = {
    **dict.fromkeys(_ERRORS, "errors"),
    **dict.fromkeys(("Caller", "Chunk", "Decision", "Reply", "Usage"), "types"),
    "Gateway": "gateway",
    "Settings": "config",
}

__all__ = [
    "Caller", "Chunk", "ConfigurationError", "Decision", "Gateway", "GatewayError", "NoAnswer", "ProviderError",
    "Reply", "RequestError", "Settings", "StreamInterrupted", "Usage",
]  # fmt: skip  # a list of names


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'aigateway' has no attribute {name!r}")
    value = getattr(import_module(f"aigateway.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
