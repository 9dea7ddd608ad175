"""Find settings: a file, a mapping, or the environment alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import ConfigurationError
from ..routing import SORTED, SUFFIXES
from ..secrets import Secret
from ._environment import apply_environment, apply_roots, environment_only
from ._origin import Context
from ._problems import explain, parse_toml
from ._settings import FROM_ENVIRONMENT, GuardSettings, Settings

__all__ = [
    "FILE_NAME", "as_sandbox", "find_file", "load", "parse", "with_guards", "with_running",
]  # fmt: skip  # a list of names

FILE_NAME = "aigateway.toml"
# What a server is started with.
KEPT = ("keep", "file", "rotate")
RESTART = ("host", "port", "workers", "drain", "write_timeout", "log_level")
Source = str | Path | Mapping[str, Any] | None


def load(source: Source = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Read settings from a path, a mapping, or (None) wherever they are.

    That is the nearest aigateway.toml upward, else the file AI_GATEWAY_CONFIG names, else the
    environment. Raises ConfigurationError that says where and what to do.
    """
    environ = os.environ if environ is None else environ
    if isinstance(source, Mapping):
        return parse(source, Context(environ))
    path = Path(source) if source is not None else find_file(environ)
    if path is None:
        return environment_settings(environ)
    text = _read(path)
    context = Context(environ, path.resolve().parent, path.name, text)
    data = parse_toml(text, path.name)
    warnings = apply_environment(data, environ)
    return parse(data, context, warnings)


def parse(data: Mapping[str, Any], context: Context | None = None, warnings: Sequence[str] = ()) -> Settings:
    """Check a mapping of settings. Raises ConfigurationError for the first problem."""
    context = context or Context()
    try:
        settings = Settings.model_validate(dict(data), context=context)
    except ValidationError as error:
        raise explain(error, Settings, context) from None
    _check_names(settings.described(context, list(warnings)))
    return settings


def as_sandbox(settings: Settings) -> Settings:
    """Mark settings whose vendors are local stand-ins."""
    return settings.described(replace(settings.context, origin="the sandbox"), settings.warnings, sandbox=True)


def with_guards(settings: Settings, *names: str) -> Settings:
    """Put guards with their defaults before those that are configured, unless they are."""
    there = {guard.use for guard in settings.guards}
    return settings.with_added([GuardSettings(use=name) for name in names if name not in there])


def with_running(settings: Settings, running: Settings) -> tuple[Settings, list[str]]:
    """Keep of what a server runs with what only a restart can change; say what would be another."""
    server, before = settings.server, running.server
    fixed = [name for name in RESTART if getattr(server, name) != getattr(before, name)]
    kept, there = running.decisions, settings.decisions
    paths = [("server", name) for name in fixed]
    paths += [("decisions", name) for name in KEPT if getattr(there, name) != getattr(kept, name)]
    said = [f"{settings.locate(*path)}: {'.'.join(path)} is another now, which needs a restart" for path in paths]
    same = server.model_copy(update={name: getattr(before, name) for name in fixed})
    return settings.model_copy(update={"server": same, "decisions": kept}), said


def environment_settings(environ: Mapping[str, str]) -> Settings:
    """Build settings from environment variables alone."""
    data = environment_only(environ)
    warnings = apply_environment(data, environ)
    apply_roots(data, environ)
    return parse(data, Context(environ, None, FROM_ENVIRONMENT), warnings)


def find_file(environ: Mapping[str, str], start: Path | None = None) -> Path | None:
    """Find the nearest aigateway.toml upward, else what AI_GATEWAY_CONFIG names."""
    folder = (start or Path.cwd()).resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / FILE_NAME).is_file():
            return candidate / FILE_NAME
    named = environ.get("AI_GATEWAY_CONFIG")
    return Path(named) if named else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"the configuration {path} cannot be read: {error.strerror}. Name another (--config, AI_GATEWAY_CONFIG)."
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"the configuration {path.name} is not UTF-8 text (byte {error.start}). Save it as UTF-8."
        ) from None


def _check_names(settings: Settings) -> None:
    """Refuse names that point at nothing: providers in targets, the fallback's route."""
    for name, route in settings.routes.items():
        _check_route_name(settings, name)
        for index, target in enumerate(route.targets):
            provider, slash, _ = target.to.partition("/")
            if slash and target.to not in settings.routes and provider not in settings.providers:
                raise ConfigurationError(
                    f"{settings.locate('routes', name, 'targets', index)}: routes.{name} has the target {target.to!r}, "
                    f"but no provider {provider!r} is configured. {_nearest(provider, list(settings.providers))}"
                )
    _check_client_keys(settings)
    if settings.fallback and settings.fallback not in settings.routes:
        raise ConfigurationError(
            f"{settings.locate('fallback')}: fallback names the route {settings.fallback!r}, which does not exist. "
            f"{_nearest(settings.fallback, list(settings.routes))}"
        )


def _check_route_name(settings: Settings, name: str) -> None:
    """Refuse what nobody can ask for as it is meant, or not see in a log. Single spaces are in the names of models."""
    suffix = next((end for end in SUFFIXES if name.endswith(end) and name != end), "")
    if not name:
        wrong = "a route has no name"
    elif not name.isprintable():
        wrong = f"the route {name!a:.80} holds what cannot be printed"
    elif name != name.strip():
        wrong = f"the route {name!r:.80} begins or ends with a space"
    elif "  " in name:
        wrong = f"the route {name!r:.80} holds two spaces in a row"
    elif suffix:
        wrong = f"the route {name!r:.80} ends in {suffix!r}, which asks for {SORTED[SUFFIXES[suffix]]}"
    else:
        return
    raise ConfigurationError(f"{settings.locate('routes', name)}: {wrong}. Give it another name.")


def _check_client_keys(settings: Settings) -> None:
    """Refuse one secret for two callers: nobody could tell them apart."""
    seen: dict[Secret, str] = {}
    for index, key in enumerate(settings.callers.keys):
        if not key.secret:  # a plug-in reads it later
            continue
        if key.secret in seen:
            raise ConfigurationError(
                f"{settings.locate('callers', 'keys', index)}: the callers.keys {seen[key.secret]!r} and {key.name!r} "
                "have the same secret. Give each its own."
            )
        seen[key.secret] = key.name


def _nearest(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, 1, 0.5)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"There is: {', '.join(names)}." if names else "None is configured yet."
