"""The second line of defence: no key in a log line, whoever wrote it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ._secret import KEYLIKE, Secret

__all__ = ["Redact"]


class Redact(logging.Filter):
    """Take known secrets, and what looks like a key, out of a record's message and its traceback."""

    def __init__(self, known: Iterable[Secret] = ()) -> None:
        super().__init__()
        self._known = [secret.reveal() for secret in known if len(secret.reveal()) >= 6]

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
        for value in self._known:
            if value in text:
                text = text.replace(value, "***")
        return KEYLIKE.sub("***", text) if KEYLIKE.search(text) else text
