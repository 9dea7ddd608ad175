"""Find, load and isolate plug-ins.

Metadata is read without importing. A plug-in is imported when somebody asks for a part of it, one
at a time; one that breaks is kept with its reason, and the others work. A registry belongs to one
gateway.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import metadata
from typing import cast

import pluggy

from ..errors import PluginError
from . import _hookspecs
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

__all__ = ["Plugin", "Registry"]

Record = CallersRecord | GuardRecord | PolicyRecord | ProviderRecord | RotationRecord | SecretsRecord | StateRecord
HOOKS = {
    "callers": "aigateway_callers",
    "provider": "aigateway_providers",
    "guard": "aigateway_guards",
    "policy": "aigateway_routing",
    "rotation": "aigateway_keys",
    "secrets": "aigateway_secrets",
    "state": "aigateway_state",
}
RECORDS: dict[str, type[Record]] = {
    "callers": CallersRecord,
    "provider": ProviderRecord,
    "guard": GuardRecord,
    "policy": PolicyRecord,
    "rotation": RotationRecord,
    "secrets": SecretsRecord,
    "state": StateRecord,
}


@dataclass(slots=True)
class Plugin:
    """Describe one plug-in as `aigateway plugins` lists it."""

    name: str
    distribution: str
    version: str
    kind: str = "provider"
    state: str = "found"  # found -> loaded | broken
    reason: str = ""
    entry: metadata.EntryPoint | None = field(default=None, repr=False)


class Registry:
    """Know every plug-in, load those that are named."""

    def __init__(
        self, *, allow: Iterable[str] | None = None, entries: Iterable[metadata.EntryPoint] | None = None
    ) -> None:
        self._manager = pluggy.PluginManager(_hookspecs.GROUP)
        self._manager.add_hookspecs(_hookspecs)
        self._records: dict[tuple[str, str], tuple[str, Record]] = {}
        self._allow = None if allow is None else frozenset(allow)
        self._found: dict[str, Plugin] | None = None
        self._entries = entries
        self._hidden: set[str] = set()

    def provider(self, name: str) -> ProviderRecord:
        """Load the provider plug-in `name`. Raises PluginError: unknown (nearest name) or broken (why)."""
        return cast("ProviderRecord", self._record("provider", name))

    def guard(self, name: str) -> GuardRecord:
        """Load the guard `name`. Raises PluginError as `provider` does."""
        return cast("GuardRecord", self._record("guard", name))

    def state(self, scheme: str) -> StateRecord:
        """Load the place for URLs of a scheme. Raises PluginError as `provider` does."""
        return cast("StateRecord", self._record("state", scheme))

    def rotation(self, name: str) -> RotationRecord:
        """Load the rotation `name`. Raises PluginError as `provider` does."""
        return cast("RotationRecord", self._record("rotation", name))

    def callers(self, scheme: str) -> CallersRecord:
        """Load the place for client keys of a scheme. Raises PluginError as `provider` does."""
        return cast("CallersRecord", self._record("callers", scheme))

    def policy(self, name: str) -> PolicyRecord:
        """Load the policy `name`. Raises PluginError as `provider` does."""
        return cast("PolicyRecord", self._record("policy", name))

    def secrets(self, scheme: str) -> SecretsRecord:
        """Load the place for secrets of a scheme. Raises PluginError as `provider` does."""
        return cast("SecretsRecord", self._record("secrets", scheme))

    def register(self, module: object, name: str) -> None:
        """Take a plug-in object directly, as tests and programs do; a failing hook is raised."""
        self._take(module, Plugin(name, "registered by the program", "", state="loaded"))

    def names(self, kind: str = "provider") -> list[str]:
        """List what can be named in a configuration."""
        self._builtin()
        known = {name for record_kind, name in self._records if record_kind == kind}
        return sorted(known | {_plain(name) for name, plugin in self._plugins().items() if plugin.kind == kind})

    def listing(self) -> list[Plugin]:
        """Load every plug-in and tell how each fared."""
        self._builtin()
        for plugin in self._plugins().values():
            self._load(plugin)
        return sorted(self._plugins().values(), key=lambda plugin: plugin.name)

    # -- loading ----------------------------------------------------------------------------

    def _record(self, kind: str, name: str) -> Record:
        self._builtin()
        if (kind, name) not in self._records:
            plugin = self._plugins().get(name if kind == "provider" else f"{kind}.{name}")
            if plugin is None:
                raise self._unknown(kind, name)
            self._load(plugin)
            if plugin.state == "broken":
                raise PluginError(
                    f"the plug-in {plugin.name!r} ({plugin.distribution} {plugin.version}) is broken: {plugin.reason}. "
                    "Reinstall or remove it.",
                    plugin=plugin.name,
                )
        return self._records[kind, name][1]

    def _unknown(self, kind: str, name: str) -> PluginError:
        if (name if kind == "provider" else f"{kind}.{name}") in self._hidden:
            return PluginError(
                f"the plug-in {name!r} is installed, but the allow-list (plugins, AI_GATEWAY_PLUGINS) leaves it out. "
                "Add it there.",
                plugin=name,
            )
        near = get_close_matches(name, self.names(kind), 1, 0.6)
        installed = f"Installed: {', '.join(self.names(kind)) or 'none'}."
        hint = f"Did you mean {near[0]!r}?" if near else f"{installed} Install its plug-in, such as aigateway-groq."
        return PluginError(f"no plug-in offers the {kind} {name[:64]!r}. {hint}", plugin=name)

    def _load(self, plugin: Plugin) -> None:
        if plugin.state != "found" or plugin.entry is None:
            return
        try:
            module = plugin.entry.load()
            self._check_version(module)
            self._take(module, plugin)
            if plugin.kind in HOOKS and (plugin.kind, _plain(plugin.name)) not in self._records:
                raise LookupError(f"it offers no {plugin.kind} {_plain(plugin.name)!r}")
            plugin.state = "loaded"
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plug-in may raise anything at import, SystemExit included
            plugin.state, plugin.reason = "broken", f"{type(error).__name__}: {error}"

    def _take(self, module: object, plugin: Plugin) -> None:
        """Register a module once; all of what it offers is taken, or nothing.

        Its hooks are exhausted by themselves: one that raises inside a plain pluggy call would lose
        what every other plug-in offers.
        """
        if self._manager.is_registered(module):
            return  # under another of its names
        self._manager.register(module, name=plugin.name)
        try:
            self._manager.check_pending()
            found = [(kind, record) for kind, hook in HOOKS.items() for record in self._yielded(hook, module)]
            for kind, record in found:
                self._check(kind, record, plugin)
        except BaseException:
            self._manager.unregister(module)
            raise
        self._records.update({(kind, record.name): (plugin.name, record) for kind, record in found})

    def _yielded(self, hook: str, module: object) -> list[Record]:
        caller = getattr(self._manager.hook, hook)
        return [
            record
            for implementation in caller.get_hookimpls()
            if implementation.plugin is module
            for record in implementation.function()
        ]

    def _check(self, kind: str, record: Record, plugin: Plugin) -> None:
        expected = RECORDS[kind]
        if not isinstance(record, expected):
            raise TypeError(f"{HOOKS[kind]} yielded {type(record).__name__}, not {expected.__name__}")
        owner, _ = self._records.get((kind, record.name), (plugin.name, record))
        # Who is named like it owns a name, in whatever order plug-ins are loaded.
        claimed = self._plugins().get(record.name if kind == "provider" else f"{kind}.{record.name}", plugin)
        if plugin.entry and claimed.entry and claimed.entry.value != plugin.entry.value:
            owner = claimed.name
        if owner != plugin.name:
            raise PluginError(
                f"{owner!r} and {plugin.name!r} both offer the {kind} {record.name!r}", plugin=plugin.name
            )

    def _check_version(self, module: object) -> None:
        version = getattr(module, "API_VERSION", API_VERSION)
        if version not in {API_VERSION, API_VERSION - 1}:
            raise RuntimeError(f"it is written for plug-in API {version}, this core has {API_VERSION}")

    def _builtin(self) -> None:
        if "aigateway" not in {name for name, _ in self._records.values()}:
            from . import _builtin

            self._take(sys.modules[_builtin.__name__], Plugin("aigateway", "aigateway", "", state="loaded"))

    # -- metadata ---------------------------------------------------------------------------

    def _plugins(self) -> dict[str, Plugin]:
        if self._found is None:
            found: dict[str, Plugin] = {}
            for entry in self._entries if self._entries is not None else metadata.entry_points(group=_hookspecs.GROUP):
                self._note(entry, found)
            self._found = found
        return self._found

    def _note(self, entry: metadata.EntryPoint, found: dict[str, Plugin]) -> None:
        kind = entry.name.partition(".")[0] if "." in entry.name else "provider"
        distribution, version = (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "")
        plugin = Plugin(entry.name, distribution, version, kind, entry=entry)
        if self._allow is not None and entry.name not in self._allow:
            self._hidden.add(entry.name)
            return
        other = found.get(entry.name)
        if other is not None and (other.entry != entry or other.distribution != distribution):
            raise PluginError(
                f"{other.distribution} and {plugin.distribution} both claim the plug-in name {entry.name!r}. "
                "Uninstall one of them.",
                plugin=entry.name,
            )
        found[entry.name] = plugin


def _plain(name: str) -> str:
    return name.partition(".")[2] or name
