"""TOML and environment to frozen Settings, which know where each value came from."""

from ._callers import CallerKey, TokenSettings
from ._environment import VENDORS, apply_environment, apply_roots
from ._load import FILE_NAME, as_sandbox, find_file, load, parse, with_guards, with_running
from ._origin import Context
from ._problems import parse_toml, unknown_setting
from ._server import ServerSettings
from ._settings import KeySettings, ProviderSettings, Settings
from ._trees import Trees
from .models import described

__all__ = [
    "FILE_NAME", "VENDORS", "CallerKey", "Context", "KeySettings", "ProviderSettings", "ServerSettings", "Settings",
    "TokenSettings", "Trees", "apply_environment", "apply_roots", "as_sandbox", "described", "find_file", "load",
    "parse", "parse_toml", "unknown_setting", "with_guards", "with_running",
]  # fmt: skip  # a list of names
