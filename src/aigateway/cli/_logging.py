"""How `serve` logs: one line per event on stderr; calls and accesses are JSON by themselves."""

from __future__ import annotations

import logging

from ..config import Settings

__all__ = ["configure_logging"]


class Lines(logging.Formatter):
    """Write JSON lines as they are, anything else with its level and name."""

    def format(self, record: logging.LogRecord) -> str:
        """Give one line; a traceback is shown in debug mode only."""
        if record.name in {"aigateway.calls", "aigateway.access"}:
            return record.getMessage()
        return super().format(record)


def configure_logging(settings: Settings) -> None:
    """Send our loggers, and the server's warnings, to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    level = "DEBUG" if settings.server.debug else settings.server.log_level
    logging.getLogger("aigateway").setLevel(level)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
