"""What a gateway was built into, as data and as lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any

from ..gateway import Gateway
from ..keys import Key
from ._options import sorts_of_keys
from ._over import guards_of_serve

__all__ = ["lines", "report"]


def report(gateway: Gateway) -> dict[str, Any]:
    """Tell what was built, and where each part is written."""
    parts, settings = gateway.parts, gateway.settings
    return {
        "origin": settings.origin,
        "default_model": settings.default_model,
        "unknown_models": settings.unknown_models,
        "fallback": settings.fallback,
        "providers": {name: _provider(gateway, name) for name in parts.providers},
        "routes": {name: [str(target) for target in targets] for name, targets in parts.names.routes.items()},
        "trees": {name: _tree(gateway, name, ()) for name in settings.routes},
        "guards": [guard.use for guard in settings.guards],
        "client_keys": sorts_of_keys(settings),
        "state": settings.state.scheme,
    }


def _provider(gateway: Gateway, name: str) -> dict[str, Any]:
    table = gateway.settings.providers[name]
    keys = [key for key in gateway.parts.rings[name].keys if key.secret is not None]
    return {
        "plugin": table.type or name,
        "at": gateway.settings.locate("providers", name),
        "keys": len(keys),
        "models": len(gateway.parts.catalogue[name]),
        "rotation": table.rotation,
        "quota_groups": dict(Counter(key.quota_group for key in keys)),
        "listing": [_key(key) for key in keys],
    }


def _key(key: Key) -> dict[str, Any]:
    ends = None if key.ends == inf else datetime.fromtimestamp(key.ends, UTC).isoformat()
    source = key.secret.source if key.secret else ""
    return {"id": key.id, "from": source, "quota_group": key.quota_group, "models": list(key.models), "ends": ends}


def _tree(gateway: Gateway, name: str, path: tuple[str, ...]) -> dict[str, Any]:
    """Tell about a route, and the routes inside of it."""
    route = gateway.settings.routes[name]
    set_here = route.model_dump(exclude_defaults=True, exclude_none=True, exclude={"targets", "policy"})
    members = []
    for entry in route.targets:
        member = entry.model_dump(exclude_defaults=True, exclude_none=True)
        if entry.to in gateway.settings.routes and entry.to not in (*path, name):
            member["route"] = _tree(gateway, entry.to, (*path, name))
        members.append(member)
    return {"policy": route.policy, "at": gateway.settings.locate("routes", name), **set_here, "targets": members}


# -- for people ---------------------------------------------------------------------------------


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Write a report as people read it."""
    yield f"configuration: {found['origin']}"
    for name, provider in found["providers"].items():
        yield from _provider_lines(name, provider)
    for name, tree in found["trees"].items():
        yield f"route {name}: {_chain(tree)}{_line(tree['at'])}"
        if _is_more(tree):
            yield from _tree_lines(tree, "    ")
    if found["default_model"]:
        yield f"requests that name no model: {found['default_model']}"
    yield f"names nobody knows: {'refused' if found['unknown_models'] == 'refuse' else found['default_model']}"
    if found["fallback"]:
        yield f"named models go on at: {found['fallback']}"
    added = [name for name in guards_of_serve() if name not in found["guards"]]
    more = f"; `aigateway serve` adds {', '.join(added)}" if added else ""
    yield f"guards: {', '.join(found['guards']) or 'none'}{more}"
    yield f"client keys: {'; '.join(found['client_keys']) or 'none, so this machine only is served'}"
    yield f"what rests is kept in: {found['state']}"


def _provider_lines(name: str, provider: Mapping[str, Any]) -> Iterator[str]:
    plugin = "" if provider["plugin"] == name else f", by the plug-in {provider['plugin']}"
    rotation = f", {provider['rotation']}" if provider["keys"] > 1 else ""
    counts = f"{provider['keys']} key(s){rotation}, {provider['models']} models"
    yield f"provider {name}: {counts}{plugin}{_line(provider['at'])}"
    for key in provider["listing"]:
        only = f", for {', '.join(key['models'])}" if key["models"] else ""
        until = f", until {key['ends']}" if key["ends"] else ""
        yield f"    {key['id']} from {key['from'] or 'here'}, quota group {key['quota_group']}{only}{until}"


def _line(at: str) -> str:
    """Say the line only: the file stands above."""
    _, comma, line = at.rpartition(", line ")
    return f"  (line {line})" if comma else ""


def _chain(tree: Mapping[str, Any]) -> str:
    names = [member["to"] for member in tree["targets"]]
    if tree["policy"] == "priority" or len(names) == 1:
        return " -> ".join(names)
    return f"{tree['policy']}: {', '.join(names)}"


def _is_more(tree: Mapping[str, Any]) -> bool:
    """Tell whether there is more to a route than its first line."""
    return bool(set(tree) - {"policy", "at", "targets"}) or any(set(member) != {"to"} for member in tree["targets"])


def _tree_lines(tree: Mapping[str, Any], indent: str) -> Iterator[str]:
    if set_here := {name: value for name, value in tree.items() if name not in {"policy", "at", "targets"}}:
        yield f"{indent}{_words(set_here)}"
    for number, member in enumerate(tree["targets"], 1):
        mark = f"{number}." if tree["policy"] == "priority" else "-"
        inner = member.get("route")
        more = _words({name: value for name, value in member.items() if name not in {"to", "route"}})
        policy = f": {inner['policy']}" if inner else ""
        yield f"{indent}{mark} {member['to']}{policy}{f'  ({more})' if more else ''}"
        if inner:
            yield from _tree_lines(inner, indent + "   ")


def _words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_word(value)}" for name, value in settings.items())


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{_words(value)}}}"
    if isinstance(value, list | tuple | set | frozenset):
        return " or ".join(_word(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
