"""Keys as words: base 62 with a checksum at the end, so that a mistyped one costs no look-up."""

from __future__ import annotations

import re
from zlib import crc32

__all__ = ["spelled", "well_spelled", "with_checksum"]

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BODY, CHECK = 43, 6  # base-62 digits of 256 and of 32 bits
SPELLING = re.compile(rf"[0-9A-Za-z]{{{BODY + CHECK}}}", re.ASCII)


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


def well_spelled(key: str, prefix: str) -> bool:
    """Tell whether a key has that prefix, the right form and the right checksum."""
    size = len(prefix)
    if not key.startswith(prefix) or len(key) != size + BODY + CHECK or not SPELLING.fullmatch(key, size):
        return False
    return spelled(crc32(key[:-CHECK].encode()), CHECK) == key[-CHECK:]
