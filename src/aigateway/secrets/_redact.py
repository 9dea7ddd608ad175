"""The second line of defence: no key in a log line, whoever wrote it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from math import inf

from ._secret import KEYLIKE, Secret

__all__ = ["Redact"]

SHORTEST = 6  # characters; what is shorter stands in many a word


class Redact(logging.Filter):
    """Take known secrets, and what looks like a key, out of a record's message and its traceback."""

    def __init__(self, known: Iterable[Secret] = ()) -> None:
        super().__init__()
        self._first = tuple(known)
        self._more: Callable[[], Iterable[Secret]] = tuple
        self._known: list[str] = []
        self._until = -inf

    def follow(self, more: Callable[[], Iterable[Secret]]) -> None:
        """Take out what `more` gives, too: secrets that are read later, or replaced; it is asked once a second."""
        self._more, self._until = more, -inf

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, cleaned."""
        said = record.getMessage()
        clean = self.clean(said)
        if clean is not said:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            record.exc_text = self.clean(logging.Formatter().formatException(record.exc_info))
        return True

    def clean(self, text: str) -> str:
        """Give a text without keys; the same object where there was none."""
        now = time.monotonic()
        if now >= self._until:
            found = {secret.reveal() for secret in (*self._first, *self._more())}
            self._known, self._until = sorted((word for word in found if len(word) >= SHORTEST), key=len)[::-1], now + 1
        for value in self._known:
            if value in text:
                text = text.replace(value, "***")
        return KEYLIKE.sub("***", text) if KEYLIKE.search(text) else text
