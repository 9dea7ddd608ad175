"""Bearer tokens signed by somebody else (JWT): the only module that imports jwt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from ..errors import ConfigurationError
from ..secrets import Secret
from ..types import Caller
from ._grants import Grant

__all__ = ["Claims", "Tokens", "parse_jwks"]

LONGEST = 8192
LONGEST_NAME = 128
SYMMETRIC = frozenset({"HS256", "HS384", "HS512"})
ASYMMETRIC = frozenset({f"{sort}{bits}" for sort in ("RS", "PS", "ES") for bits in (256, 384, 512)} | {"EdDSA"})


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
        names = frozenset(claims.algorithms)
        allowed = ASYMMETRIC if secret is None else SYMMETRIC
        if (secret is None) == (keys is None) or not names or not names <= allowed:
            raise ConfigurationError(
                "callers.jwt takes a secret with HS256, HS384 or HS512, or a JWKS (file or URL) with RS, PS, ES or "
                "EdDSA algorithms. Name only algorithms of one sort: a mixture lets tokens be forged."
            )
        self._jwt = jwt
        if secret is not None:
            self._check(secret, names)
        self._claims = claims
        self._secret = secret
        self._keys: dict[str, Any] = {}
        self.load(keys or {})

    def _check(self, secret: Secret, names: frozenset[str]) -> None:
        """Refuse a secret that is short for its algorithm (RFC 7518), or is a public key."""
        value = secret.reveal().encode("utf-8", "surrogatepass")
        needed = max(int(name[2:]) // 8 for name in names)
        if len(value) < needed or b"-----BEGIN" in value or value.lstrip().startswith((b"{", b"ssh-")):
            raise ConfigurationError(
                f"callers.jwt.secret must be a random secret of {needed} bytes or more, and no public key."
            )

    def load(self, keys: Mapping[str, Any]) -> None:
        """Take the public keys of a JWKS document; what cannot be read of it is left out."""
        found: dict[str, Any] = {}
        for key in keys.get("keys", []) if isinstance(keys.get("keys"), list) else []:
            try:
                if isinstance(key, dict) and key["kty"] != "oct" and "d" not in key and key.get("use", "sig") == "sig":
                    jwk = self._jwt.PyJWK(key)
                    found[str(key["kid"])] = jwk if "alg" in key else jwk.key
            except Exception:  # noqa: S112  # whatever a library says of somebody else's key
                continue
        self._keys = found

    def share(self, other: Tokens) -> None:
        """Take the public keys another one has."""
        self._keys = other._keys

    def claims(self, key: str) -> bool:
        """Tell whether a key is written like a token."""
        return key.count(".") == 2 and key.startswith("ey") and len(key) <= LONGEST and key.isascii()

    def knows(self, key: str) -> bool:
        """Tell whether the key that signed a token is at hand."""
        return self._secret is not None or self._kid(key) in self._keys

    async def find(self, key: str, at: float) -> Grant | None:
        """Give what a token allows at that moment; None for one that is not in order."""
        try:
            if "crit" in self._jwt.get_unverified_header(key):
                return None
            said = self._decoded(key)
            name, leeway = said["sub"], self._claims.leeway
            if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
                return None
            caller = Caller(name, self._scopes(said), key=Secret(key).id, tenant=f"jwt:{name}")
            return Grant(caller, starts=_moment(said.get("nbf", 0)) - leeway, ends=_moment(said["exp"]) + leeway)
        except (self._jwt.PyJWTError, KeyError, ValueError, TypeError, OverflowError, RecursionError):
            return None

    def _scopes(self, said: Mapping[str, Any]) -> frozenset[str]:
        """Give the part of what is configured that is asked for; who asks for nothing is no operator."""
        asked = said.get("scope", said.get("scopes", list(self._claims.scopes - {"admin"})))
        return self._claims.scopes.intersection(asked.split() if isinstance(asked, str) else asked)

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
                "enforce_minimum_key_length": True,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": wanted.audience is not None,
            },
        )

    def _kid(self, key: str) -> str:
        try:
            return str(self._jwt.get_unverified_header(key).get("kid", ""))
        except (self._jwt.PyJWTError, ValueError, RecursionError):
            return ""


def _moment(value: object) -> float:
    """Read a time a token names. Raises TypeError or ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not isfinite(value):
        raise ValueError
    return float(value)


def parse_jwks(text: bytes) -> Mapping[str, Any]:
    """Read a JWKS document. Raises ConfigurationError for anything else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("keys"), list):
        raise ConfigurationError("the JWKS document has no list of keys.")
    return data
