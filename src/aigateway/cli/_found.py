"""What an environment offers a new configuration: vendors whose keys are there, and secrets of client keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec

from ..config import VENDORS
from ..errors import ConfigurationError
from ..plugins import Plugin, ProviderRecord, Registry
from ..providers import Options
from ..secrets import Secret, root

__all__ = ["Found", "Vendor", "look"]

PREFIX = "AI_GATEWAY_"
CLIENTS = (
    ("gateway", (PREFIX + "GATEWAY_API_KEY",), ["chat"]),
    ("operator", (PREFIX + "ADMIN_API_KEY", "ADMIN_API_KEY"), ["chat", "admin"]),
)


@dataclass(frozen=True)
class Vendor:
    """One vendor: the variable of its key, the model it is asked for, and what stands in its way, if anything."""

    name: str
    variable: str
    model: str
    missing: str = ""


@dataclass(frozen=True)
class Found:
    """Everything a new configuration is made from; no value of a secret is in it."""

    vendors: list[Vendor]
    client_keys: list[tuple[str, str, list[str]]]
    roots: set[str]
    redis: bool
    guards: dict[str, Mapping[str, object]]

    @property
    def ready(self) -> list[Vendor]:
        """List the vendors that can be asked at once."""
        return [vendor for vendor in self.vendors if not vendor.missing]


def look(environ: Mapping[str, str], registry: Registry) -> Found:
    """Look at the variables that are set, and at the plug-ins that are installed."""
    keys = [
        (name, variable, scopes)
        for name, variables, scopes in CLIENTS
        if (variable := next((v for v in variables if environ.get(v)), ""))
    ]
    roots = {name for name in ("SECRET_KEY", "ADMIN_SECRET", "JWT_SECRET") if _is_root(environ.get(name, ""))}
    if find_spec("jwt") is None:
        roots -= {"JWT_SECRET"}
    redis = environ.get("REDIS_URL", "").partition(":")[0] in registry.names("state")
    guards = {name: registry.guard(name).settings for name in registry.names("guard") if _works(registry, name)}
    return Found(list(_vendors(environ, registry)), keys, roots, redis, guards)


def _vendors(environ: Mapping[str, str], registry: Registry) -> Iterator[Vendor]:
    """List the four vendors of the built-in route in its order, then those of other plug-ins whose keys are set."""
    plugins = {plugin.name: plugin for plugin in registry.listing() if plugin.kind == "provider"}
    for name, variable, model in VENDORS:
        named = next((v for v in (variable, PREFIX + variable) if environ.get(v, "").strip()), variable)
        yield Vendor(name, named, model, _missing(environ.get(named, ""), named, plugins.get(name), name))
    for name in sorted(plugins.keys() - {name for name, _, _ in VENDORS}):
        if plugins[name].state == "broken":
            continue
        record = registry.provider(name)
        variable = next((v for v in record.key_variables if environ.get(v, "").strip()), "")
        model = _model(record) if variable else ""
        if model:
            yield Vendor(name, variable, model, _missing(environ[variable], variable, plugins[name], name))


def _missing(value: str, variable: str, plugin: Plugin | None, name: str) -> str:
    """Say what stands in the way of asking a vendor."""
    if plugin is None:
        return f"pip install aigateway-{name}"
    if plugin.state == "broken":
        return f"the plug-in is broken: {plugin.reason[:80]}"
    if not value.strip():
        return f"set {variable}"
    if "," in value:
        return f"{variable} holds several keys; in a file each has a variable of its own"
    return "" if Secret(value.strip()).is_sendable else f"{variable} is not one word of ASCII"


def _model(record: ProviderRecord) -> str:
    """Choose a model of a plug-in we know nothing of: the first that chats and is not about to end."""
    today = datetime.now(UTC).date()
    try:
        models = record.factory(Options(record.name, None, {})).models()
    except Exception:  # its own settings may be required
        return ""
    living = (m.id for m in models if "chat" in m.abilities and m.successor is None and (m.shutdown or today) >= today)
    return next(living, "")


def _is_root(value: str) -> bool:
    try:
        return bool(value) and bool(root(Secret(value.strip()), "it"))
    except ConfigurationError:
        return False


def _works(registry: Registry, name: str) -> bool:
    try:
        return bool(registry.guard(name))
    except ConfigurationError:
        return False
