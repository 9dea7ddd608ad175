"""A small JSON file that several processes read and change."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError

__all__ = ["Document", "locked"]

Stamp = tuple[int, int, int]
# Seconds a change waits for somebody else's.
PATIENCE = 10.0


class Document:
    """Read a JSON object when its file has changed; change it under a lock, replaced as a whole.

    A reader sees the old object or the new one, never half of one; after a crash, too. The file can
    be read by its owner only. Raises ConfigurationError for a file that is no JSON object or cannot
    be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: Stamp | None = None
        self._data: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Give the object; empty while there is no file. It is the caller's to leave as it is."""
        stamp = self._now()
        if stamp != self._stamp or stamp is None:
            self._data = self._load() if stamp else {}
            self._stamp = stamp
        return self._data

    def change(self, function: Callable[[dict[str, Any]], None], *, patience: float = PATIENCE) -> None:
        """Let `function` change the object; nobody else does meanwhile, and they are waited for so many seconds."""
        with self._locked(patience):
            data = self._load() if self.path.exists() else {}
            function(data)
            self._replace(data)
            self._data, self._stamp = data, self._now()

    def write(self, data: dict[str, Any], *, patience: float = PATIENCE) -> None:
        """Put an object in the file, whatever it held."""
        with self._locked(patience):
            self._replace(data)
            self._data, self._stamp = data, self._now()

    @property
    def changed(self) -> bool:
        """Tell whether the file is another one than was read last; costs one look at its entry."""
        return self._now() != self._stamp

    def _now(self) -> Stamp | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _load(self) -> dict[str, Any]:
        try:
            with self.path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                data = json.load(file)
        except OSError as error:
            raise self._unusable(error) from None
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise ConfigurationError(
                f"the file {self.path} is not the JSON object it was. Restore it, or move it away to begin anew."
            )
        if os.name == "posix" and mode & stat.S_IWOTH:
            raise ConfigurationError(
                f"everybody on this machine can write the file {self.path} (mode {mode:o}). Run chmod 600 on it."
            )
        return data

    def _replace(self, data: dict[str, Any]) -> None:
        name, text = "", json.dumps(data, indent=1, allow_nan=False)
        path = self._real
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                _hand_over(handle, path)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except OSError as error:
            if name:
                Path(name).unlink(missing_ok=True)
            raise self._unusable(error) from None

    @contextmanager
    def _locked(self, patience: float) -> Iterator[None]:
        try:
            with locked(self._real, patience):
                yield
        except OSError as error:
            raise self._unusable(error) from None

    @property
    def _real(self) -> Path:
        """Give the file behind a link: it is that one which is replaced, and locked, by whichever name."""
        return Path(os.path.realpath(self.path))

    def _unusable(self, error: OSError) -> ConfigurationError:
        reason = error.strerror or type(error).__name__
        return ConfigurationError(f"the file {self.path} cannot be used: {reason}. Check its folder and permissions.")


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock beside a file, which may be replaced meanwhile. Raises OSError.

    Nobody else may open the lock, and so hold it.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path.with_name(f".{path.name}.lock"), flags, 0o600), "r+") as lock:
        _hand_over(lock.fileno(), path)
        _lock(lock.fileno(), patience)
        yield


def _hand_over(handle: int, path: Path) -> None:
    """Give a new file to whom the one before belongs: a command of root's must not shut the server out."""
    if os.name != "posix":  # pragma: no cover  # Windows
        return
    with suppress(PermissionError):
        before = (path if path.exists() else path.parent).stat()
        os.fchmod(handle, 0o600 | (stat.S_IMODE(before.st_mode) & 0o060 if path.exists() else 0))
        os.fchown(handle, before.st_uid, before.st_gid)


def _lock(handle: int, patience: float) -> None:
    """Wait for the lock, but not for ever; it ends with the file's being closed. Raises OSError."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover  # Windows
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]  # of that system only
    else:
        until = time.monotonic() + patience
        while True:
            try:
                return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.02)
