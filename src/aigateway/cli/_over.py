"""What a command lays over what is configured: a `.env` file, an option, the guards of a server."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from ..config import Settings
from ..errors import ConfigurationError

__all__ = ["guards_of_serve", "read_dotenv", "with_workers"]


def guards_of_serve() -> list[str]:
    """Name the guards `serve` adds where they are not configured: it logs, measures where it can, and limits."""
    return ["log", *(["metrics"] if find_spec("prometheus_client") else []), "concurrency", "rate_limit"]


def with_workers(settings: Settings, workers: int | None) -> Settings:
    """Say how many processes serve; None leaves it as it is configured."""
    if workers is None:
        return settings
    return settings.model_copy(update={"server": settings.server.model_copy(update={"workers": workers})})


def read_dotenv(environ: Mapping[str, str], folder: Path | None = None) -> dict[str, str]:
    """Lay the environment over a `.env` file; only the commands do this."""
    from dotenv import dotenv_values

    path = (folder or Path.cwd()) / ".env"
    try:
        values = dotenv_values(path) if path.is_file() else {}
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path.name} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from None
    return {**{name: value for name, value in values.items() if value is not None}, **environ}
