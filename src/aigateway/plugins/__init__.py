"""How parts get in: hook specifications, the records hooks yield, and the registry."""

from ._hookspecs import hookimpl
from ._records import (
    API_VERSION,
    CallersRecord,
    GuardRecord,
    PolicyRecord,
    ProviderRecord,
    RotationRecord,
    SecretsRecord,
    StateRecord,
)
from ._registry import Plugin, Registry

__all__ = [
    "API_VERSION", "CallersRecord", "GuardRecord", "Plugin", "PolicyRecord", "ProviderRecord", "Registry",
    "RotationRecord", "SecretsRecord", "StateRecord", "hookimpl",
]  # fmt: skip  # a list of names
