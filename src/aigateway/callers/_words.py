"""Keys as words: base 62 with a checksum at the end, so that a mistyped one costs no look-up."""

from __future__ import annotations

from collections.abc import Container
from zlib import crc32

__all__ = ["spelled", "well_spelled", "with_checksum"]

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BODY, CHECK = 43, 6  # base-62 digits of 256 and of 32 bits
VALUES = {digit: value for value, digit in enumerate(DIGITS.encode())}


def spelled(number: int, width: int) -> str:
    """Write a number in base 62, `width` digits."""
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits = DIGITS[digit] + digits
    return digits


def with_checksum(prefix: str, bits: bytes) -> str:
    """Write 256 bits as a key: prefix, 43 digits, 6 digits of CRC-32 over both."""
    word = prefix + spelled(int.from_bytes(bits, "big"), BODY)
    return word + spelled(crc32(word.encode()), CHECK)


def well_spelled(key: str, prefixes: Container[str]) -> bool:
    """Tell whether a key has one of the prefixes, the right form and the right checksum."""
    if key[: -BODY - CHECK] not in prefixes:
        return False
    word = key.encode("ascii", "replace")
    if not word[-BODY - CHECK :].isalnum():
        return False
    said = 0
    for digit in word[-CHECK:]:
        said = said * 62 + VALUES[digit]
    return said == crc32(word[:-CHECK])
