"""Where secrets come from: the environment or a file; a literal only when it is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigurationError
from ._secret import Secret

__all__ = ["resolve"]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def resolve(
    reference: str, environ: Mapping[str, str], *, allow_literal: bool = False, base: Path | None = None
) -> Secret:
    """Read the secret `env:NAME` or `file:PATH` names.

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
    return Secret(value)


def _from_file(path: Path, base: Path | None) -> Secret:
    path = (base or Path()) / path.expanduser()
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"the secret file {path} cannot be read: {reason}.") from None
    if not value:
        raise ConfigurationError(f"the secret file {path} is empty. Write the secret into it.")
    return Secret(value)
