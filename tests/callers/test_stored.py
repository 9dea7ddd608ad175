"""Random keys are kept as HMAC-SHA256 under a pepper derived from a root; older roots are tried in order."""

from __future__ import annotations

import hmac

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aigateway.callers import FernetSeal, Grant, Peppers, StoredKeys, new_key
from aigateway.secrets import Secret
from aigateway.types import Caller

from .at_once import at_once

ROOTS = [Secret(f"root-number-{number}-of-these-tests-0123456789") for number in range(3)]


class Store:
    """Keep grants by digest, and note what is asked and moved."""

    def __init__(self, *digests: str) -> None:
        self.grants = dict.fromkeys(digests, Grant(Caller("known")))
        self.asked: list[str] = []

    async def find(self, digest: str) -> Grant | None:
        self.asked.append(digest)
        return self.grants.get(digest)

    async def moved(self, old: str, new: str) -> None:
        self.grants[new] = self.grants.pop(old)


def expected(root: Secret, key: str) -> str:
    """Work a digest out by other means."""
    pepper = HKDF(SHA256(), 32, None, b"aigateway/pepper/v1").derive(root.reveal().encode())
    return hmac.new(pepper, key.encode(), "sha256").hexdigest()


def test_a_digest_is_what_the_design_says() -> None:
    """Whoever keeps keys in a database of his own can work it out."""
    key = new_key().reveal()
    peppers = Peppers(ROOTS)

    assert expected(ROOTS[0], key) == peppers.digest(key) == peppers.digest(key)
    assert [expected(root, key) for root in ROOTS[1:]] == peppers.older(key)
    assert [] == Peppers(ROOTS[:1]).older(key)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_key_under_an_older_root_is_moved_once(kept: int) -> None:
    """Found under whichever root, the newest first; after that under the newest at the first look."""
    key = new_key().reveal()
    digests = [expected(root, key) for root in ROOTS]
    store = Store(digests[kept])
    keys = StoredKeys(store, Peppers(ROOTS))

    assert at_once(keys.find(key, 0.0)) is not None
    assert digests[: kept + 1] == store.asked
    assert [digests[0]] == list(store.grants)
    store.asked.clear()
    assert at_once(keys.find(key, 0.0)) is not None
    assert digests[:1] == store.asked


def test_an_unknown_key_is_looked_for_under_every_root() -> None:
    """And nothing is moved."""
    store = Store()

    assert at_once(StoredKeys(store, Peppers(ROOTS)).find(new_key().reveal(), 0.0)) is None
    assert 3 == len(set(store.asked)) == len(store.asked)


def test_what_is_sealed_is_opened_under_any_root() -> None:
    """Closed under the newest; anything else, or anything changed, is no text."""
    old, new = FernetSeal(ROOTS[1:2]), FernetSeal(ROOTS[:2])
    sealed, fresh = old.close(b"text \x00\xff"), new.close(b"")

    assert b"text \x00\xff" == new.open(sealed) == old.open(sealed)
    assert b"" == new.open(fresh)
    assert [False, True, True] == [new.is_fresh(sealed), new.is_fresh(fresh), old.is_fresh(sealed)]
    assert sealed != old.close(b"text \x00\xff")
    for broken in (fresh, sealed[:-5] + "AAAA=", sealed[:20], "", "\0", "{}"):
        with pytest.raises(ValueError, match="no root fits"):
            old.open(broken)
        assert not old.is_fresh(broken)
    with pytest.raises(ValueError, match="ASCII"):
        old.open(sealed + "é")
    assert ROOTS[1].reveal() not in repr(vars(new))
