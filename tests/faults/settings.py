"""The configurations of the rows: read as TOML, given names of their own, pointed at vendors, scaled."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aigateway.types import Timeouts

__all__ = ["DEFAULTS", "SIXTEEN", "Names", "hosts", "merged", "provider", "route", "routes", "to_toml"]

SIXTEEN = (Path(__file__).parent / "sixteen.toml").read_text(encoding="utf-8")
TERMS = ("retries", "timeouts", "recovery", "hedge", "hold")
DEFAULTS = "\n".join(line for line in SIXTEEN.splitlines() if not line.startswith(TERMS))
HOST = re.compile(r"(https?)://([a-z]+)/")
Tables = dict[str, Any]


def route(terms: str = "", *, targets: str = "") -> str:
    """Give the route of `sixteen.toml` with other terms, and perhaps other targets."""
    text = DEFAULTS
    if targets:
        text = re.sub(r"targets = .*", f"targets = {targets}", text)
    return f"{text}\n{terms}\n"


def provider(name: str, kind: str = "openai", *, url: str = "") -> str:
    """Give the table of a provider; its host is a vendor of the same name, unless it has a URL."""
    key = f'keys = [{{ secret = "sk-{name}-0123456789abcdef", allow_literal = true }}]'
    return f'[providers.{name}]\ntype = "{kind}"\nbase_url = "{url or f"http://{name}/v1"}"\n{key}\n'


def routes(**targets: str) -> str:
    """Give routes by name, their targets separated by spaces."""
    lists = {name: ", ".join(f'"{target}"' for target in line.split()) for name, line in targets.items()}
    return "".join(f"[routes.{name}]\ntargets = [{line}]\n" for name, line in lists.items())


def hosts(text: str) -> list[str]:
    """List the hosts a configuration names by a bare word: vendors to be set up."""
    return sorted({host for _, host in HOST.findall(text)})


class Names:
    """Give one row's providers and routes names of their own, so that rows can share a gateway."""

    def __init__(self, text: str, urls: Mapping[str, str], suffix: str) -> None:
        placed = HOST.sub(lambda found: urls[found[2]].removesuffix("/v1") + "/", text)
        self._tables = tomllib.loads(placed)
        self.mark = f"_{suffix}"
        self._known = {*self._tables.get("providers", ()), *self._tables.get("routes", ())}

    def own(self, name: str) -> str:
        """Give the row's own name for a model, a route or a provider."""
        first, slash, rest = name.partition("/")
        return f"{first}{self.mark}{slash}{rest}" if first in self._known else name

    def plain(self, name: str) -> str:
        """Take the row's mark off again."""
        return name.replace(self.mark, "")

    def tables(self, scale: float, *, inherited: bool) -> Tables:
        """Give the configuration under the row's own names, its limits scaled."""
        tables = {name: table for name, table in self._tables.items() if name not in {"providers", "routes"}}
        tables["providers"] = {self.own(name): table for name, table in self._tables["providers"].items()}
        tables["routes"] = {
            self.own(name): scaled(
                {**table, "targets": list(map(self._target, table["targets"]))}, scale, inherited=inherited
            )
            for name, table in self._tables["routes"].items()
        }
        return tables

    def _target(self, target: str | Tables) -> str | Tables:
        return self.own(target) if isinstance(target, str) else {**target, "to": self.own(target["to"])}


def scaled(table: Tables, scale: float, *, inherited: bool) -> Tables:
    """Scale a route's limits, with `inherited` those of the defaults too; connecting is left alone."""
    if scale == 1.0:
        return table
    given = table.get("timeouts", {})
    limits = {**{name: value for name, value in asdict(Timeouts()).items() if inherited and name != "connect"}, **given}
    return {**table, "timeouts": {name: value * scale for name, value in limits.items()}}


def merged(parts: list[Tables]) -> Tables:
    """Put the configurations of rows into one."""
    whole: Tables = {}
    for part in parts:
        for name, value in part.items():
            if isinstance(value, dict):
                whole.setdefault(name, {}).update(value)
            else:
                whole[name] = value
    return whole


def to_toml(tables: Tables) -> str:
    """Write tables as TOML: dotted keys and inline values are enough."""
    lines = []
    for name, value in tables.items():
        if isinstance(value, dict):
            lines += [f"{name}.{json.dumps(key)} = {_inline(inner)}" for key, inner in value.items()]
        else:
            lines.append(f"{name} = {_inline(value)}")
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_inline(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)
