"""Read a scenario, and the gateway's settings in it, with secrets that are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...config import VENDORS, Context, Settings, parse
from ...config._origin import Names
from ...config._problems import explain, parse_toml
from ...errors import ConfigurationError
from ._tables import Behaviour, Scenario

__all__ = ["Plan", "host_of", "read_scenario"]

# What of a configuration has no part in a simulation: clients, listening, other processes, logs.
OUTSIDE = ("callers", "server", "state", "transport")
WATCHING = ("log", "metrics")


@dataclass(frozen=True)
class Plan:
    """A checked scenario, the gateway's settings, and every provider's type and behaviour."""

    scenario: Scenario
    settings: Settings
    types: Mapping[str, str]
    behaviours: Mapping[str, Behaviour]
    model: str
    notes: tuple[str, ...] = ()


class Inside(Context):
    """Find the lines of settings that stand in the table `gateway` of a scenario."""

    __slots__ = ()

    def where(self, path: Names) -> str:
        """Say where a setting stands."""
        return Context.where(self, ("gateway", *path))


def read_scenario(source: Path | Mapping[str, Any], config: Path | None = None, *, seed: int | None = None) -> Plan:
    """Read a scenario from a file or a mapping; `config` and `seed` replace its own.

    Raises ConfigurationError for the first problem, with its line.
    """
    if isinstance(source, Mapping):
        data, context = dict(source), Context(origin="the scenario")
    else:
        text = _read(source, "scenario")
        data, context = parse_toml(text, source.name), Context({}, source.resolve().parent, source.name, text)
    return _plan(data if seed is None else {**data, "seed": seed}, context, config)


def _plan(data: Mapping[str, Any], context: Context, config: Path | None = None) -> Plan:
    """Check a scenario and build the settings it is played with."""
    try:
        scenario = Scenario.model_validate(dict(data))
    except ValidationError as error:
        raise explain(error, Scenario, context) from None
    file = config or ((context.base or Path()) / scenario.config if scenario.config else None)
    if file is not None:
        text = _read(file, "configuration")
        raw, inner = parse_toml(text, file.name), Context({}, file.resolve().parent, file.name, text)
    else:
        raw, inner = dict(scenario.gateway), Inside({}, context.base, context.origin, context.text)
    tables = _providers(raw, scenario, context, from_file=file is not None, strict=config is None)
    if not isinstance(tables, dict):
        parse(raw, inner)  # says what is wrong
        raise ConfigurationError(f"{inner.where(['providers'])}: providers must be a table")
    types = {name: str(table.get("type") or name) for name, table in tables.items()}
    settings = parse(_without_outside(raw) | {"providers": tables} | _routes(raw, types), inner)
    known = {name: scenario.vendors.get(name, Behaviour()) for name in tables}
    notes = tuple(f"{name} is not described, and never fails" for name in tables if name not in scenario.vendors)
    model = scenario.request.model or settings.default_model or next(iter(settings.routes), "")
    return Plan(scenario, settings, types, known, model, notes)


def host_of(index: int) -> str:
    """Name the host of a provider; no network ever looks it up."""
    return f"vendor-{index}.invalid"


def _providers(raw: Mapping[str, Any], scenario: Scenario, context: Context, *, from_file: bool, strict: bool) -> Any:
    """Give every provider a key and a host of the simulation."""
    given = raw.get("providers", {})
    if not isinstance(given, dict) or not all(isinstance(table, dict) for table in given.values()):
        return None
    strangers = [name for name in scenario.vendors if name not in given]
    if from_file and strangers and strict:
        raise _stranger(strangers[0], list(given), context)
    names = [*given, *(() if from_file else strangers)]
    return {
        name: _provider(index, name, given.get(name, {}), scenario.vendors.get(name, Behaviour()))
        for index, name in enumerate(names)
    }


def _provider(index: int, name: str, given: Mapping[str, Any], behaviour: Behaviour) -> dict[str, Any]:
    table = dict(given)
    if behaviour.type:
        table.setdefault("type", behaviour.type)
    keys = table.get("keys")
    if not isinstance(keys, list) or not keys:
        groups = (f"account-{number % behaviour.accounts + 1}" for number in range(behaviour.keys))
        keys = [{"quota_group": group} for group in groups]
    table["keys"] = [_simulated(key, name, number) for number, key in enumerate(keys, 1)]
    return table | {"base_url": f"http://{host_of(index)}"}


def _simulated(key: object, name: str, number: int) -> object:
    """Put a word in the place of a secret; what is no table is left for the settings to refuse."""
    return {**key, "secret": f"simulated-{name}-{number}", "allow_literal": True} if isinstance(key, dict) else key


def _without_outside(raw: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in raw.items() if name not in OUTSIDE}
    decisions = kept.get("decisions")
    if isinstance(decisions, dict):  # what is played is no record of what was
        kept["decisions"] = {name: value for name, value in decisions.items() if name != "file"}
    guards = kept.get("guards")
    if isinstance(guards, list):
        kept["guards"] = [guard for guard in guards if not (isinstance(guard, dict) and guard.get("use") in WATCHING)]
    return kept


def _routes(raw: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    """Give the route `smart` over all vendors, where no route is written."""
    if "routes" in raw or "default_model" in raw:
        return {}
    models = {name: model for name, _, model in VENDORS}
    targets = [f"{name}/{models[kind]}" for name, kind in types.items() if kind in models]
    return {"routes": {"smart": {"targets": targets}}} if targets else {}


def _stranger(name: str, known: list[str], context: Context) -> ConfigurationError:
    near = get_close_matches(name, known, 1, 0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"There is: {', '.join(known) or 'none'}."
    where = context.where(("vendors", name))
    return ConfigurationError(f"{where}: vendors.{name} is no provider of the configuration. {hint}")


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the {what} {path} cannot be read: {error.strerror}. Name another.") from None
    except UnicodeDecodeError as error:
        why = f"is not UTF-8 text (byte {error.start}). Save it as UTF-8."
        raise ConfigurationError(f"the {what} {path.name} {why}") from None
