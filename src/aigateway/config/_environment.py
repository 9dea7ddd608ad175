"""Settings from environment variables: alone, or laid over a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from ..errors import ConfigurationError

__all__ = ["VENDORS", "apply_environment", "apply_roots", "environment_only"]

PREFIX = "AI_GATEWAY_"
# The built-in route's order: provider, its variable, the model it is asked for.
VENDORS = (
    ("deepseek", "DEEPSEEK_API_KEY", "deepseek-flash"),
    ("minimax", "MINIMAX_API_KEY", "MiniMax-M3"),
    ("openai", "OPENAI_API_KEY", "gpt-5.4-mini"),
    ("groq", "GROQ_API_KEY", "openai/gpt-oss-120b"),
)


def environment_only(environ: Mapping[str, str]) -> dict[str, Any]:
    """Build the settings of environment-only mode: one route, `smart`, over the keys that exist."""
    providers: dict[str, Any] = {}
    targets: list[str] = []
    for name, variable, model in VENDORS:
        keys = _keys(environ, variable)
        if keys:
            providers[name] = {"keys": keys}
            targets.append(f"{name}/{model}")
    data: dict[str, Any] = {"unknown_models": "default", "providers": providers}
    if targets:
        data |= {"routes": {"smart": {"targets": targets}}, "default_model": "smart", "fallback": "smart"}
    return data


def apply_roots(data: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Take the secrets that have common names; only where no file says what counts."""
    callers = {name: value for variable, (name, value) in ROOTS.items() if environ.get(variable)}
    if callers:
        data["callers"] = {**callers, **data.get("callers", {})}
    if environ.get("ADMIN_API_KEY") and not environ.get(PREFIX + "ADMIN_API_KEY"):
        _add_caller(data, *CALLERS["ADMIN_API_KEY"], "ADMIN_API_KEY")


def apply_environment(data: dict[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Lay the AI_GATEWAY_* variables (and PORT, DEBUG, LOG_LEVEL) over `data`; give warnings.

    Raises ConfigurationError for a value that is not one, or an unknown AI_GATEWAY_ name.
    """
    for variable in ("PORT", "DEBUG", "LOG_LEVEL"):
        if environ.get(variable) and not environ.get(PREFIX + variable):
            _set(data, SETTINGS[variable], variable, environ[variable])
    warnings = []
    for variable, value in sorted(environ.items()):
        name = variable.removeprefix(PREFIX)
        if name == variable or not value or OF_KUBERNETES.match(f"{name}={value}"):
            continue
        if name in SETTINGS:
            _set(data, SETTINGS[name], variable, value)
        elif name in CALLERS:
            _add_caller(data, *CALLERS[name], variable)
        elif name not in READ_ELSEWHERE:
            raise _unknown(variable)
    if environ.get("REDIS_URL"):
        warnings += _share_state(data)
    return warnings


def _share_state(data: dict[str, Any]) -> list[str]:
    """Share facts through the Redis the environment names, unless a file says where they are kept."""
    state = data.setdefault("state", {})
    if not isinstance(state, dict) or "url" in state:
        return []
    if find_spec("aigateway_redis") is None:
        return ["REDIS_URL is set, but aigateway-redis is not installed: what rests is known to this process only."]
    state["url"] = "env:REDIS_URL"
    return []


def _keys(environ: Mapping[str, str], variable: str) -> list[dict[str, Any]]:
    """Read one or several comma-separated keys; several have no variable of their own to refer to."""
    for name in (variable, PREFIX + variable):
        text = environ.get(name, "").strip()
        values = [value.strip() for value in text.split(",") if value.strip()]
        if values == [text]:
            return [{"secret": f"env:{name}"}]
        if values:
            return [{"secret": value, "allow_literal": True} for value in values]
    return []


def _text(value: str) -> str:
    return value


def _flag(value: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return words[value.strip().lower()]


def _names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


Setting = tuple[tuple[str, ...], Callable[[str], Any], str]
SETTINGS: Mapping[str, Setting] = {
    "HOST": (("server", "host"), _text, "a host name or address"),
    "PORT": (("server", "port"), int, "a port number"),
    "DEBUG": (("server", "debug"), _flag, "true or false"),
    "LOG_REQUESTS": (("server", "log_requests"), _flag, "true or false"),
    "LOG_LEVEL": (("server", "log_level"), str.upper, "DEBUG, INFO, WARNING or ERROR"),
    "DEFAULT_MODEL": (("default_model",), _text, "a model or route"),
    "MAX_TOKENS": (("limits", "max_tokens"), int, "a number of tokens"),
    "PLUGINS": (("plugins",), _names, "plug-in names, comma-separated"),
    "MAX_CONTEXT_LENGTH": (("limits", "max_context_length"), int, "a number of tokens"),
    "RATE_LIMIT_REQUESTS": (("guards", "rate_limit", "requests_per_minute"), int, "a number of requests per minute"),
    "RATE_LIMIT_BURST": (("guards", "rate_limit", "burst"), int, "a number of requests at once"),
    "LOG_RESPONSES": (("guards", "log", "responses"), _flag, "true or false"),
    "CALLERS": (("callers", "store"), _text, "a place for client keys, such as file:callers.json"),
}
# Secrets others are derived from, or tokens signed with; they count without a configuration file only.
ROOTS: Mapping[str, tuple[str, Any]] = {
    "ADMIN_SECRET": ("weekly", {"root": "env:ADMIN_SECRET"}),
    "JWT_SECRET": ("jwt", {"secret": "env:JWT_SECRET"}),
    "SECRET_KEY": ("roots", ["env:SECRET_KEY"]),
}
CALLERS = {"GATEWAY_API_KEY": ("gateway", ["chat"]), "ADMIN_API_KEY": ("operator", ["chat", "admin"])}
# What Kubernetes gives every container beside a service named ai-gateway.
OF_KUBERNETES = re.compile(r"SERVICE_(HOST|PORT)|PORT_\d+_|PORT=tcp://")
READ_ELSEWHERE = {"CONFIG", "LOG_LEVEL", *(variable for _, variable, _ in VENDORS)}


def _set(data: dict[str, Any], setting: Setting, variable: str, value: str) -> None:
    path, read, what = setting
    try:
        parsed = read(value)
    except (ValueError, KeyError):
        raise ConfigurationError(f"the environment variable {variable} must be {what}, not {value[:40]!r}.") from None
    if path[0] == "guards":
        table = _guard(data, path[1])
        if table is not None:
            table[path[2]] = parsed
        return
    for part in path[:-1]:
        inner = data.setdefault(part, {})
        if not isinstance(inner, dict):
            return  # the file is wrong there, and will be told so
        data = inner
    data[path[-1]] = parsed


def _guard(data: dict[str, Any], use: str) -> dict[str, Any] | None:
    """Find the table of a guard that is not for something special, else put one before the others."""
    tables = data.setdefault("guards", [])
    if not isinstance(tables, list):
        return None  # the file is wrong there, and will be told so
    for table in tables:
        if isinstance(table, dict) and table.get("use") == use and table.get("per", "caller") == "caller":
            return table
    tables.insert(0, {"use": use})
    return tables[0]  # type: ignore[no-any-return]  # it has just been put there


def _add_caller(data: dict[str, Any], name: str, scopes: list[str], variable: str) -> None:
    table = data.setdefault("callers", {})
    keys = table.setdefault("keys", []) if isinstance(table, dict) else None
    if not isinstance(keys, list):
        return  # the file is wrong there, and will be told so
    reference = f"env:{variable}"
    if not any(key.get("secret") == reference or key.get("name") == name for key in keys if isinstance(key, dict)):
        keys.append({"name": name, "secret": reference, "scopes": scopes})


def _unknown(variable: str) -> ConfigurationError:
    known = [PREFIX + name for name in (*SETTINGS, *CALLERS, *READ_ELSEWHERE)]
    near = get_close_matches(variable, known, 1, 0.6)
    hint = f"Did you mean {near[0]}?" if near else "See .env.example for the names there are."
    return ConfigurationError(f"the environment variable {variable} is not a setting. {hint}")
