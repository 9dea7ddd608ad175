"""One key per purpose, by RFC 5869; roots that could be guessed are refused."""

from __future__ import annotations

import hmac
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from aigateway.errors import ConfigurationError
from aigateway.secrets import Secret, derive, root

# RFC 5869, appendix A: input, salt, info, length, output. The third is the one without salt.
VECTORS = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        (
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ),
    ),
    (
        "0b" * 22,
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


def expected(secret: bytes, info: bytes, length: int, salt: bytes = b"") -> bytes:
    """Give what another implementation derives."""
    return HKDF(SHA256(), length, salt or None, info).derive(secret)


@pytest.mark.parametrize("vector", VECTORS, ids=["1", "2", "3"])
def test_the_measure_is_right(vector: tuple[str, str, str, str]) -> None:
    """What we are compared with gives the RFC's own examples."""
    secret, salt, info, output = map(bytes.fromhex, vector)

    assert output == expected(secret, info, len(output), salt)


@given(
    st.text(max_size=200), st.text(max_size=40), st.binary(max_size=100), st.integers(1, 255 * 32) | st.integers(1, 99)
)
def test_derived_keys_are_those_of_the_rfc(secret: str, purpose: str, context: bytes, length: int) -> None:
    """Without salt, under the label `aigateway/PURPOSE/v1`, for every length there can be."""
    info = f"aigateway/{purpose}/v1".encode() + context

    assert expected(secret.encode(), info, length) == derive(Secret(secret), purpose, context, length=length)


def test_the_third_vector_by_hand() -> None:
    """The input of the RFC's salt-less example, our label in place of its empty one: one block, written out."""
    extracted = hmac.digest(bytes(32), b"\x0b" * 22, "sha256")

    assert "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04" == extracted.hex()  # the RFC's PRK
    assert hmac.digest(extracted, b"aigateway/pepper/v1\x01", sha256) == derive(Secret("\x0b" * 22), "pepper")


def test_purposes_share_nothing() -> None:
    """Not a piece of four bytes of one key is in another, and none of it is in the root."""
    secret = Secret("root-of-these-tests-0123456789-abcdef")
    purposes = ["pepper", "weekly", "at-rest", "webhook"]
    keys = [*(derive(secret, purpose) for purpose in purposes), secret.reveal().encode()]

    pieces = [{key[at : at + 4] for at in range(len(key) - 3)} for key in keys]
    assert sum(map(len, pieces)) == len(set().union(*pieces))
    assert derive(secret, "pepper") != derive(Secret(secret.reveal() + "x"), "pepper")
    assert 32 == len(derive(Secret("\ud800" * 32), "pepper"))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "too-little",
        "x" * 31,
        "x" * 64,
        "01" * 32,
        "change-me-0123456789-abcdefghijklmnopqrstuv",
        "CHANGEME0123456789abcdefghijklmnopqrstuv",
        "your-secret-key-at-least-32-characters-long",
        "example-0123456789-abcdefghijklmnopqrstuv",
        "SuperSecret-0123456789-abcdefghijklmnopqr",
    ],
)
def test_roots_that_can_be_guessed_are_refused(value: str) -> None:
    """Short, monotonous, out of a tutorial: the setting is named, the value is not, and what to do is."""
    with pytest.raises(ConfigurationError, match=r"^SECRET_KEY .*token_urlsafe") as error:
        root(Secret(value), "SECRET_KEY")
    assert not value or value not in error.value.message


LONG = ["0123456789abcdef" * 2, "é" * 8 + "abcdefgh" * 2, "pw3_9fQz-Lk2vXn8Rt5yUb7cEo1hWs4m"]


@pytest.mark.parametrize("value", LONG)
def test_long_roots_are_taken(value: str) -> None:
    """32 bytes are enough, counted as bytes."""
    secret = Secret(value)

    assert secret is root(secret, "SECRET_KEY")
