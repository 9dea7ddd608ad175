"""Bearer tokens signed by somebody else (JWT): the only module that imports jwt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError
from ..secrets import Secret
from ..types import Caller
from ._grants import Grant

__all__ = ["Claims", "Tokens", "parse_jwks"]

LONGEST = 8192
SYMMETRIC = frozenset({"HS256", "HS384", "HS512"})


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token must say, and the most it can allow."""

    algorithms: tuple[str, ...] = ("HS256",)
    audience: str | None = None
    issuer: str | None = None
    leeway: float = 0.0
    scopes: frozenset[str] = frozenset({"chat"})


class Tokens:
    """Check tokens against a shared secret, or public keys by `kid`.

    Algorithms are pinned: what the token says of its own is only compared. It must have `exp` and
    `sub`, and `aud` and `iss` as configured. Its `scope` can only narrow what is configured. Raises
    ConfigurationError when the `pyjwt` package is missing or the settings contradict each other.
    """

    def __init__(self, claims: Claims, *, secret: Secret | None = None, keys: Mapping[str, Any] | None = None) -> None:
        try:
            import jwt
        except ImportError:
            raise ConfigurationError("callers.jwt needs the package pyjwt. Install aigateway[jwt].") from None
        mixed = SYMMETRIC.intersection(claims.algorithms)
        if (secret is None) == (keys is None) or bool(mixed) != (secret is not None) or not claims.algorithms:
            raise ConfigurationError(
                "callers.jwt takes a secret with HS algorithms, or a JWKS (file or URL) with RS, PS, ES or EdDSA ones. "
                "Name only algorithms of one sort."
            )
        if mixed and len(mixed) != len(claims.algorithms):
            raise ConfigurationError("callers.jwt.algorithms mixes HS with others, which lets tokens be forged.")
        self._jwt = jwt
        self._claims = claims
        self._secret = secret
        self._keys: dict[str, Any] = {}
        self.load(keys or {})

    def load(self, keys: Mapping[str, Any]) -> None:
        """Take the public keys of a JWKS document; what cannot be read of it is left out."""
        found: dict[str, Any] = {}
        for key in keys.get("keys", []) if isinstance(keys.get("keys"), list) else []:
            try:
                if isinstance(key, dict) and key.get("kty") != "oct":
                    found[str(key["kid"])] = self._jwt.PyJWK(key).key
            except (self._jwt.PyJWTError, KeyError, ValueError, TypeError):
                continue
        self._keys = found

    def claims(self, key: str) -> bool:
        """Tell whether a key is written like a token."""
        return key.count(".") == 2 and key.startswith("ey") and len(key) <= LONGEST and key.isascii()

    def knows(self, key: str) -> bool:
        """Tell whether the key that signed a token is at hand."""
        return self._secret is not None or self._kid(key) in self._keys

    async def find(self, key: str, at: float) -> Grant | None:
        """Give what a token allows at that moment; None for one that is not in order."""
        try:
            said = self._decoded(key)
            name = str(said["sub"])[:128]
            if not name or "crit" in self._jwt.get_unverified_header(key):
                return None
            asked = said.get("scope", said.get("scopes"))
        except (self._jwt.PyJWTError, KeyError, ValueError, TypeError):
            return None
        words = asked.split() if isinstance(asked, str) else asked if isinstance(asked, Sequence) else None
        scopes = self._claims.scopes if words is None else self._claims.scopes & {str(word) for word in words}
        caller = Caller(name, scopes, key=Secret(key).id, tenant=name)
        leeway = self._claims.leeway
        return Grant(caller, starts=float(said.get("nbf", 0)) - leeway, ends=float(said["exp"]) + leeway)

    def _decoded(self, key: str) -> Mapping[str, Any]:
        """Check the signature and what is said; times are compared by whoever admits, on the injected clock."""
        signer = self._secret.reveal() if self._secret else self._keys[self._kid(key)]
        wanted = self._claims
        return self._jwt.decode(
            key,
            signer,
            algorithms=list(wanted.algorithms),
            audience=wanted.audience,
            issuer=wanted.issuer,
            options={
                "require": ["exp", "sub"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": wanted.audience is not None,
            },
        )

    def _kid(self, key: str) -> str:
        try:
            return str(self._jwt.get_unverified_header(key).get("kid", ""))
        except self._jwt.PyJWTError:
            return ""


def parse_jwks(text: bytes) -> Mapping[str, Any]:
    """Read a JWKS document. Raises ConfigurationError for anything else."""
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("keys"), list):
        raise ConfigurationError("the JWKS document has no list of keys.")
    return data
