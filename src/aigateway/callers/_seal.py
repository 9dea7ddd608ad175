"""Encryption at rest: the only module that imports cryptography."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence

from ..errors import ConfigurationError
from ..secrets import Secret, derive

__all__ = ["FernetSeal"]


class FernetSeal:
    """Encrypt under a key derived from the first root; decrypt under any of them.

    Raises ConfigurationError when the `cryptography` package is missing.
    """

    def __init__(self, roots: Sequence[Secret]) -> None:
        try:
            from cryptography.fernet import Fernet, InvalidToken, MultiFernet
        except ImportError:
            raise ConfigurationError(
                "callers.encrypt needs the package cryptography. Install aigateway[encryption]."
            ) from None
        fernets = [Fernet(urlsafe_b64encode(derive(root, "at-rest"))) for root in roots]
        self._newest, self._all, self._invalid = fernets[0], MultiFernet(fernets), InvalidToken

    def close(self, text: bytes) -> str:
        """Encrypt."""
        return self._newest.encrypt(text).decode("ascii")

    def open(self, sealed: str) -> bytes:
        """Decrypt. Raises ValueError when no root fits."""
        try:
            return self._all.decrypt(sealed)
        except self._invalid:
            raise ValueError("no root fits") from None

    def is_fresh(self, sealed: str) -> bool:
        """Tell whether it was closed under the newest root."""
        try:
            self._newest.decrypt(sealed)
        except self._invalid:
            return False
        return True
