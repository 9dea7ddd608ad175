"""A value that cannot be shown by accident."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from hmac import compare_digest
from typing import Never
from urllib.parse import quote_from_bytes

__all__ = ["Elsewhere", "Secret", "mask", "without_keys"]


class Secret:
    """Hold a secret; only `reveal` gives it away.

    repr, str, format, JSON and pickle never do. `source` is where it was read from, `env:NAME` or
    `file:PATH`, as far as that is known.
    """

    __slots__ = ("_id", "_value", "source")

    def __init__(self, value: str, source: str = "") -> None:
        self._value = value
        self._id = ""
        self.source = source

    @property
    def id(self) -> str:
        """Name it for people: a few characters of a digest tell two keys apart and guess neither."""
        if not self._id:
            digest = sha256(b"aigateway/key-id/v1" + self._value.encode("utf-8", "surrogatepass"))
            self._id = "key-" + digest.hexdigest()[:6]
        return self._id

    def reveal(self) -> str:
        """Give the value, for the one place that sends it."""
        return self._value

    @property
    def is_sendable(self) -> bool:
        """Tell whether it can stand in a header: one word of ASCII."""
        return self._value.isascii() and self._value.isprintable() and " " not in self._value

    def matches(self, value: str) -> bool:
        """Compare in constant time."""
        return compare_digest(self._value.encode("utf-8", "surrogatepass"), value.encode("utf-8", "surrogatepass"))

    def prefixed(self, prefix: str) -> Secret:
        """Give `prefix` and the value as one secret (a header such as `Bearer ...`)."""
        return Secret(prefix + self._value)

    def __repr__(self) -> str:
        return f"Secret({self.id})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> Never:
        raise TypeError("a Secret is not pickled; hand on the name of its source instead")

    __getstate__ = __reduce__


class Elsewhere(Secret):
    """Stand for a secret a plug-in will read; it has no value before."""

    __slots__ = ("reference", "scheme")

    def __init__(self, scheme: str, reference: str) -> None:
        super().__init__("", f"{scheme}:")
        self.scheme = scheme
        self.reference = reference

    def fill(self, value: str) -> None:
        """Take the value that was read."""
        self._value = value
        self._id = ""


# Characters of a key that are too many to be shown: they would do to find it in a list.
CUT = 20
# Shapes of the keys vendors and this gateway issue, and whatever follows "Bearer".
KEYLIKE = re.compile(
    r"(?i:bearer\s+)\S+|\b(?:sk|gsk|cpk|rk|pk|gw)[-_][A-Za-z0-9_\-*.]{6,}|\beyJ[A-Za-z0-9_\-.]{16,}|\borg[-_][A-Za-z0-9]{6,}"
)
# Where the first letters of a key may stand; many times faster to look for, and most texts hold none.
MARKED = re.compile(r"[kwg][-_](?:(?<=\b[srp]k.)|(?<=\b[gc][sp]k.)|(?<=\bgw.)|(?<=\borg.))[A-Za-z0-9_\-*.]{6}")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def _forms(value: str) -> Iterator[str]:
    """Give a secret as it stands in a text: as it is, in a URL, in base 64, cut."""
    raw = value.encode("utf-8", "surrogatepass")
    yield value
    yield from {quote_from_bytes(raw), quote_from_bytes(raw, safe="")} - {value}
    yield from {encode(raw).decode("ascii").rstrip("=") for encode in (b64encode, urlsafe_b64encode)}
    if len(value) > CUT:
        yield value[:CUT]


def without_keys(text: str) -> str:
    """Take out what looks like a key; gives the same text where nothing does."""
    if not (MARKED.search(text) or "eyJ" in text or "bearer" in text.lower()):
        return text
    return KEYLIKE.sub("***", text)


def mask(text: str, *known: Secret | None, limit: int = 256) -> str:
    """Make a vendor's text safe to show: known secrets and key-like words out, one line, bounded."""
    for secret in known:
        if secret:
            for form in _forms(secret.reveal()):
                text = text.replace(form, "***")
    text = CONTROL.sub(" ", KEYLIKE.sub("***", text[: 16 * limit])).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"
