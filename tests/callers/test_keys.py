"""Client keys: known or not, allowed or not; nothing in between can be learned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.callers import Callers, Grant, StaticKeys, Visit, require
from aigateway.errors import ConfigurationError, Forbidden, Refusal, Unauthenticated
from aigateway.secrets import Secret
from aigateway.types import ANYONE, IN_PROCESS, Caller

from .at_once import at_once

CHAT, ADMIN = frozenset({"chat"}), frozenset({"admin"})
EDITOR, OPERATOR = Caller("editor", CHAT, tenant="editor"), Caller("operator", ADMIN, tenant="operator")
KEYS = StaticKeys([(Secret("editor-key"), Grant(EDITOR)), (Secret("operator-key"), Grant(OPERATOR))])
HERE = Visit(1_800_000_000.0)


class Written:
    """Know every key that begins with a word, and note what was asked for."""

    def __init__(self, word: str, grant: Grant | None) -> None:
        self.word, self.grant = word, grant
        self.asked: list[tuple[str, float]] = []

    def claims(self, key: str) -> bool:
        return key.startswith(self.word)

    async def find(self, key: str, at: float) -> Grant | None:
        self.asked.append((key, at))
        return self.grant


def caller(key: str, callers: Callers | None = None) -> Caller:
    """Give who comes with a key."""
    return at_once((callers or Callers(KEYS)).caller(key, HERE))


def refusal(key: str, callers: Callers | None = None) -> Unauthenticated:
    """Give what a key is told that is not let in."""
    with pytest.raises(Unauthenticated) as error:
        caller(key, callers)
    return error.value


def test_a_known_key_names_its_caller() -> None:
    """And nobody else."""
    assert EDITOR is caller("editor-key")
    assert OPERATOR is caller("operator-key")
    assert 2 == len(KEYS)
    assert "editor-key" not in repr(KEYS) + repr(vars(KEYS))


@given(st.text(max_size=2000))
def test_unknown_keys_are_refused_alike(key: str) -> None:
    """Empty, almost right, huge, not even text: one body, one status."""
    error = refusal(key)

    assert (401, "invalid_api_key", "authentication_error") == (error.status, error.code, error.type)
    assert (refusal("editor-ke").message, "unknown" if key else "missing") == (error.message, error.reason)


@pytest.mark.parametrize(
    "key",
    ["", "editor-key ", "EDITOR-KEY", "editor-keyx", "editor-ke", "x" * 10_000, "\ud800", "editor-key\0", "x" * 2**20],
    ids=range(9),
)
def test_near_misses_are_misses(key: str) -> None:
    """No trimming, no folding, no prefix."""
    assert refusal("nothing").message == refusal(key).message


def test_without_keys_nobody_is_known() -> None:
    """An empty table refuses the empty key too, and an empty key that was configured is none."""
    assert refusal("nothing").message == refusal("", Callers(StaticKeys([]))).message
    assert refusal("nothing").message == refusal("", Callers(StaticKeys([(Secret(""), Grant(EDITOR))]))).message
    assert not Callers(StaticKeys([]))
    assert Callers(KEYS)
    assert Callers(StaticKeys([]), [Written("a", None)])


@pytest.mark.parametrize("same", [20, 40, 63])
def test_keys_with_the_same_beginning_are_two_keys(same: int) -> None:
    """The first 20, 40, n-1 characters in common: two callers, two tenants, two names in the log."""
    secrets = [Secret("k" * same + end * (64 - same)) for end in "ab"]
    callers = Callers(
        StaticKeys((secret, Grant(Caller(f"c{at}", tenant=f"c{at}"))) for at, secret in enumerate(secrets))
    )

    assert ["c0", "c1"] == [caller(secret.reveal(), callers).tenant for secret in secrets]
    assert secrets[0].id != secrets[1].id
    assert "unknown" == refusal("k" * 64, callers).reason
    assert "unknown" == refusal("k" * same, callers).reason


def test_the_first_sort_that_claims_a_key_decides() -> None:
    """The configuration's own keys come first; a sort that does not claim a key is not asked."""
    first, second, third = Written("x", None), Written("gw_", Grant(EDITOR)), Written("gw_", Grant(OPERATOR))
    callers = Callers(StaticKeys([(Secret("gw_static"), Grant(OPERATOR))]), [first, second, third])

    assert OPERATOR is caller("gw_static", callers)
    assert [] == second.asked
    assert EDITOR is caller("gw_other", callers)
    assert [("gw_other", HERE.at)] == second.asked
    assert "unknown" == refusal("xx", callers).reason
    assert [[("xx", HERE.at)], []] == [first.asked, third.asked]


def test_what_is_longer_than_any_key_is_not_looked_at() -> None:
    """8,192 characters are looked up, one more is not."""
    written = Written("g", Grant(EDITOR))
    callers = Callers(StaticKeys([]), [written])

    assert EDITOR is caller("g" * 8192, callers)
    assert "unknown" == refusal("g" * 8193, callers).reason
    assert 1 == len(written.asked)


def test_scopes_are_required() -> None:
    """The scope itself or the operator's passes; anything else is a 403 naming the scope."""
    require(Caller("x", CHAT), "chat")
    require(Caller("x", ADMIN), "chat")
    require(IN_PROCESS, "admin")
    for who, scope in [(Caller("x", CHAT), "admin"), (ANYONE, "chat"), (Caller("x", frozenset()), "chat")]:
        with pytest.raises(Forbidden, match=f"'{scope}'") as error:
            require(who, scope)
        assert 403 == error.value.status


def test_a_place_that_cannot_be_asked_is_not_the_callers_fault() -> None:
    """A store that is down is a 503 without its words, never a 401."""

    class Down:
        def claims(self, key: str) -> bool:
            return True

        async def find(self, key: str, at: float) -> None:
            raise ConfigurationError("the file /secret/path cannot be used")

    with pytest.raises(Refusal) as caught:
        at_once(Callers(StaticKeys([]), [Down()]).caller("gw_live_x", Visit(0.0)))

    assert 503 == caught.value.status
    assert "secret" not in str(caught.value)
