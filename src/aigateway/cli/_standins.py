"""Settings that point at the sandbox; said on every answer, fallen back to by nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..config import VENDORS, Context, Settings, apply_environment, apply_roots, as_sandbox, parse
from ..errors import ConfigurationError
from ..plugins import Registry
from ._options import allowed_plugins

if TYPE_CHECKING:
    from ..testing.sandbox import Sandbox

__all__ = ["MARK", "describe", "installed", "missing", "sandbox_settings", "sandbox_toml"]

# How a file of the sandbox begins; only such a file is written over.
MARK = "# The local stand-in vendors of `aigateway sandbox`"


def installed() -> dict[str, str]:
    """Give the vendors whose plug-ins are installed, each with the model it is asked for."""
    there = Registry(allow=allowed_plugins()).names()
    return {name: model for name, _, model in VENDORS if name in there}


def missing() -> str:
    """Name the distributions of the vendors whose plug-ins are not."""
    there = installed()
    return ", ".join(f"aigateway-{name}" for name, _, _ in VENDORS if name not in there)


def sandbox_settings(sandbox: Sandbox, environ: Mapping[str, str] | None = None) -> Settings:
    """Build what environment-only mode builds, with the stand-ins' addresses and key.

    `environ` may say how to listen and which client keys to ask for.
    """
    environ = environ or {}
    data = _tables(sandbox)
    warnings = apply_environment(data, environ)
    apply_roots(data, environ)
    return as_sandbox(parse(data, Context(environ), warnings))


def sandbox_toml(sandbox: Sandbox) -> str:
    """Write the same as a file other commands can read."""
    lines = [
        MARK + "; they answer while it runs.",
        'default_model = "smart"',
        'unknown_models = "default"',
        'fallback = "smart"',
    ]
    for name, table in _tables(sandbox)["providers"].items():
        key = table["keys"][0]["secret"]
        lines += ["", f"[providers.{name}]", f'base_url = "{table["base_url"]}"']
        lines.append(f'keys = [{{ secret = "{key}", allow_literal = true }}]')
    targets = ", ".join(f'"{name}/{model}"' for name, model in installed().items())
    return "\n".join([*lines, "", "[routes.smart]", f"targets = [{targets}]", ""])


def describe(sandbox: Sandbox) -> str:
    """List the stand-ins for people."""
    rows = [f"  {name:<9} {vendor.url}" for name, vendor in sandbox.vendors.items()]
    hint = f"""  faults    curl -X PUT {sandbox.control_url}/faults/deepseek -d '{{"fault": "down"}}'"""
    return "\n".join([*rows, hint])


def _tables(sandbox: Sandbox) -> dict[str, Any]:
    vendors = installed()
    if not vendors:
        raise ConfigurationError(f"no vendor's plug-in is installed. Install one: {missing()}.")
    providers = {
        name: {"base_url": sandbox.vendors[name].url, "keys": [{"secret": sandbox.key, "allow_literal": True}]}
        for name in vendors
    }
    return {
        "default_model": "smart",
        "unknown_models": "default",
        "fallback": "smart",
        "providers": providers,
        "routes": {"smart": {"targets": [f"{name}/{model}" for name, model in vendors.items()]}},
    }
