"""One derived key per purpose, so that what leaks of one says nothing about another."""

from __future__ import annotations

import hmac
from hashlib import sha256

from ..errors import ConfigurationError
from ._secret import Secret

__all__ = ["derive", "root"]

SHORTEST = 32
# What documentation, tutorials and templates put where a secret belongs.
EXAMPLES = (
    "changeme",
    "change-me",
    "change_me",
    "your-",
    "your_",
    "example",
    "secret-key",
    "supersecret",
    "placeholder",
    "insecure",
    "please",
    "256-bits",
    "generate",
    "${",
)
SHOWN = frozenset({"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"})  # in a well-known tutorial


def derive(secret: Secret, purpose: str, context: bytes = b"", *, length: int = 32) -> bytes:
    """Give `length` bytes for one purpose: HKDF with SHA-256 (RFC 5869), without salt.

    The label is `aigateway/PURPOSE/v1`; `context` follows it.
    """
    pseudorandom = hmac.digest(bytes(32), secret.reveal().encode("utf-8", "surrogatepass"), "sha256")
    info = f"aigateway/{purpose}/v1".encode() + context
    block, derived = b"", b""
    for counter in range(1, -(-length // sha256().digest_size) + 1):
        block = hmac.digest(pseudorandom, block + info + bytes([counter]), "sha256")
        derived += block
    return derived[:length]


def root(secret: Secret, name: str) -> Secret:
    """Accept a secret that others are derived from. Raises ConfigurationError for a short or an example one."""
    value = secret.reveal()
    advice = "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
    if len(value.encode("utf-8", "surrogatepass")) < SHORTEST:
        raise ConfigurationError(f"{name} is shorter than {SHORTEST} bytes, so it could be guessed. {advice}")
    if len(set(value)) < 8 or value in SHOWN or any(word in value.lower() for word in EXAMPLES):
        raise ConfigurationError(f"{name} is an example, not a secret. {advice}")
    return secret
