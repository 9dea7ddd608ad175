"""How `serve` logs: one line per event on stderr; calls and accesses are JSON by themselves."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from ..config import Settings
from ..gateway import Gateway
from ..secrets import Redact, Secret

__all__ = ["configure_logging", "secrets_of"]

JSON_LOGGERS = ("aigateway.access", "aigateway.calls")


class Lines(logging.Handler):
    """Write each message as a line; what one turn of the event loop logged is written at once."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line until the loop's next turn; without a loop, write it now."""
        self._waiting.append(record.getMessage() + "\n")
        if len(self._waiting) > 1:
            return
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            sys.stderr.write("".join(waiting))
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # nobody reads our log any more: no reason to fail a request


def configure_logging(settings: Settings) -> Redact:
    """Send our loggers, and the server's warnings, to stderr; give what takes the secrets out."""
    # The logging manual's own advice for busy processes ("Optimization"): our lines name none of these.
    logging._srcfile = None  # noqa: SLF001  # the documented switch
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True)
    level = "DEBUG" if settings.server.debug else settings.server.log_level
    logging.getLogger("aigateway").setLevel(level)
    server = logging.getLogger("uvicorn.error")
    server.setLevel(logging.WARNING)
    server.addFilter(_is_news)
    redact = Redact(_secrets(settings))
    logging.getLogger().handlers[0].addFilter(redact)
    for name in JSON_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [Lines()]
        logger.handlers[0].addFilter(redact)
        logger.propagate = False
    return redact


def secrets_of(gateway: Gateway) -> Iterator[Secret]:
    """Give the secrets of a gateway as they are now: plug-ins have read theirs, keys were replaced."""
    yield from _secrets(gateway.settings)
    for ring in gateway.parts.rings.values():
        for slot in ring.slots:
            yield from (key.secret for key in (slot.pending, slot.current, slot.previous) if key and key.secret)


def _secrets(settings: Settings) -> Iterator[Secret]:
    """Give every secret of the configuration."""
    password = urlsplit(settings.state.url.reveal()).password
    if password:
        yield from (Secret(password), Secret(unquote(password)))
    for provider in settings.providers.values():
        yield from (key.secret for key in provider.keys)
    callers = settings.callers
    yield from (key.secret for key in callers.keys)
    yield from callers.roots
    yield from filter(None, (callers.weekly and callers.weekly.root, callers.jwt and callers.jwt.secret))


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out what the access line says better: an answer was not sent to its end, and why."""
    return record.msg != "ASGI callable returned without completing response."
