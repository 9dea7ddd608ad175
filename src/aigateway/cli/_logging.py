"""How `serve` logs: one line per event on stderr; calls and accesses are JSON by themselves."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Collection, Iterator
from urllib.parse import unquote, urlsplit

from ..config import Settings
from ..gateway import Gateway
from ..secrets import Redact, Secret

__all__ = ["REDACT", "configure_logging", "hide", "hide_all", "secrets_of"]

# Takes secrets out of whatever this process logs or says.
REDACT = Redact()
CALLS = "aigateway.calls"
JSON_LOGGERS = ("aigateway.access", CALLS)


class Lines(logging.Handler):
    """Write each message as a line; what one turn of the event loop logged is written at once."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line until the loop's next turn; without a loop, write it now."""
        line = record.getMessage()
        if record.name == CALLS:  # an access has it; elsewhere formatters add it
            line = f'{{"time":{record.created:.3f},{line[1:]}'
        self._waiting.append(line + "\n")
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


def configure_logging(settings: Settings) -> None:
    """Send our loggers, and the server's warnings, to stderr."""
    # The logging manual's own advice for busy processes ("Optimization"): our lines name none of these.
    logging._srcfile = None  # noqa: SLF001  # the documented switch
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    level = "DEBUG" if settings.server.debug else settings.server.log_level
    logging.getLogger("aigateway").setLevel(level)
    server = logging.getLogger("uvicorn.error")
    server.setLevel(logging.WARNING)
    server.addFilter(_is_news)
    hide(settings)
    logging.getLogger().handlers[0].addFilter(REDACT)
    for name in JSON_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [Lines()]
        logger.handlers[0].addFilter(REDACT)
        logger.propagate = False


def hide(settings: Settings) -> None:
    """Let no secret of a configuration show in what this process writes, wherever it is read."""
    REDACT.follow(lambda: _secrets(settings), object)  # anew for each line: a plug-in may read one at any time
    if logging.lastResort is not None:
        logging.lastResort.addFilter(REDACT)


def hide_all(gateway: Gateway, beside: Collection[Secret] = ()) -> None:
    """Let no secret of a gateway show, those that are replaced while it serves either, nor those `beside`."""
    slots = [slot for ring in gateway.parts.rings.values() for slot in ring.slots]
    REDACT.follow(lambda: {*beside, *secrets_of(gateway)}, lambda: sum(slot.offers for slot in slots))


def secrets_of(gateway: Gateway) -> set[Secret]:
    """Give every secret a gateway has to do with."""
    slots = [slot for ring in gateway.parts.rings.values() for slot in ring.slots]
    return {*_secrets(gateway.settings), *(secret for slot in slots for secret in slot.secrets)}


def _secrets(settings: Settings) -> Iterator[Secret]:
    """Give every secret of the configuration."""
    for url in (settings.state.url.reveal(), settings.callers.store or ""):
        password = urlsplit(url).password
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
