"""The second line of defence: no key in a log line, whoever wrote it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from ._secret import Secret, without_keys

__all__ = ["Redact"]

SHORTEST = 6  # characters; what is shorter stands in many a word


class Redact(logging.Filter):
    """Take known secrets, and what looks like a key, out of a record's message and its traceback."""

    def __init__(self, known: Iterable[Secret] = ()) -> None:
        super().__init__()
        first = tuple(known)
        self._known: list[str] = []
        self.follow(lambda: first)

    def follow(self, known: Callable[[], Iterable[Secret]], changes: Callable[[], object] = int) -> None:
        """Take out what `known` gives from now on; it is asked again when `changes` gives something else."""
        self._source, self._changes, self._seen = known, changes, object()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, cleaned."""
        try:
            said = record.getMessage()
        except Exception:  # somebody's wrong format: logging never raises, so nor does this
            said = f"a record of {record.name} cannot be formatted"
            record.msg, record.args = said, None
        clean = self.clean(said)
        if clean != said:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[1] is not None and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_text = record.exc_text and self.clean(record.exc_text)  # another handler may have written it
        record.stack_info = record.stack_info and self.clean(record.stack_info)
        return True

    def clean(self, text: str) -> str:
        """Give a text without keys."""
        seen = self._changes()
        if seen != self._seen:
            found = {secret.reveal() for secret in self._source()}
            self._known = sorted((word for word in found if len(word) >= SHORTEST), key=len, reverse=True)
            self._seen = seen
        for value in self._known:
            if value in text:
                text = text.replace(value, "***")
        return without_keys(text)
