"""How `serve` logs: one line per event on stderr; calls and accesses are JSON by themselves."""

from __future__ import annotations

import logging
import sys

from ..config import Settings

__all__ = ["configure_logging"]

JSON_LOGGERS = ("aigateway.access", "aigateway.calls")


class Lines(logging.Handler):
    """Write each message as a line, without what a formatter would cost per request."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it at once: a line that waits in a buffer is lost with the process."""
        try:
            sys.stderr.write(record.getMessage() + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self.handleError(record)


def configure_logging(settings: Settings) -> None:
    """Send our loggers, and the server's warnings, to stderr."""
    # The logging manual's own advice for busy processes ("Optimization"): our lines name none of these.
    logging._srcfile = None  # noqa: SLF001  # the documented switch
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True)
    level = "DEBUG" if settings.server.debug else settings.server.log_level
    logging.getLogger("aigateway").setLevel(level)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    for name in JSON_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [Lines()]
        logger.propagate = False
