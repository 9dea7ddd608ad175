"""Where secrets come from: the environment or a file; a literal only when it is allowed."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigurationError
from ._secret import Elsewhere, Secret

__all__ = ["WatchedFile", "place", "resolve"]

LOG = logging.getLogger("aigateway.secrets")

SCHEME = re.compile(r"[a-z][a-z0-9_]{1,15}", re.ASCII)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def resolve(
    reference: str, environ: Mapping[str, str], *, allow_literal: bool = False, base: Path | None = None
) -> Secret:
    """Read the secret `env:NAME` or `file:PATH` names; `SCHEME:REFERENCE` stays for a plug-in to read.

    Raises ConfigurationError, never showing the value: unset variable, unreadable or empty file,
    a literal where none is allowed.
    """
    kind, separator, rest = reference.partition(":")
    if separator and kind == "env":
        return _from_environment(rest, environ)
    if separator and kind == "file":
        return _from_file(Path(rest), base)
    if allow_literal:
        return Secret(reference)
    if separator and SCHEME.fullmatch(kind) and rest:
        return Elsewhere(kind, rest)
    raise ConfigurationError(
        "a secret is written into the configuration itself. Put it into an environment variable and write "
        '"env:NAME", or into a file and write "file:PATH" (allow_literal = true permits it as it is).'
    )


def _from_environment(name: str, environ: Mapping[str, str]) -> Secret:
    value = environ.get(name, "").strip()
    if not NAME.fullmatch(name):  # perhaps the secret itself: not to be repeated
        raise ConfigurationError(
            "env: must be followed by the name of an environment variable, such as env:GROQ_API_KEY."
        )
    if not value:
        raise ConfigurationError(f"the environment variable {name} is not set or empty. Set it, or remove env:{name}.")
    if not value.isprintable():
        raise ConfigurationError(f"the environment variable {name} holds line breaks or what cannot be printed.")
    return Secret(value, f"env:{name}")


def _from_file(path: Path, base: Path | None) -> Secret:
    path = place(path, base)
    try:
        _check_mode(path)
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"the secret file {path} cannot be read: {reason}.") from None
    if not value:
        raise ConfigurationError(f"the secret file {path} is empty. Write the secret into it.")
    if not value.isprintable():
        raise ConfigurationError(
            f"the secret file {path} holds line breaks, or what cannot be printed. Write only the secret into it."
        )
    return Secret(value, f"file:{path}")


def place(path: Path, base: Path | None) -> Path:
    """Find a secret's file: relative paths begin at the configuration's folder."""
    return (base or Path()) / path.expanduser()


def _check_mode(path: Path) -> None:
    """Refuse what everybody on the machine can read; where containers mount secrets, modes are not the operator's."""
    if os.name != "posix" or path.resolve().is_relative_to("/run/secrets"):
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigurationError(
            f"everybody on this machine can read the secret file {path} (mode {mode:o}). "
            "Run chmod 600 on it (in Kubernetes: defaultMode 0400)."
        )


class WatchedFile:
    """Give a secret again when its file was replaced; looks at its entry only, until then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, ...] | None = None  # it may have changed since it was read

    def __call__(self, force: bool = False) -> Secret | None:
        """Give the new secret, None while nothing changed or what is there cannot be used."""
        stamp = self._now()
        if stamp is None or (stamp == self._stamp and not force):
            return None
        try:
            secret = _from_file(self.path, None)
        except ConfigurationError as error:
            LOG.warning("%s The secret before it stays in force.", error.message)
            secret = None
        self._stamp = stamp
        return secret

    def _now(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino  # ctime: chmod may have mended it
