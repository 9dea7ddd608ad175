"""Client keys: known or not, allowed or not; nothing in between can be learned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.callers import StaticKeys, require
from aigateway.errors import Forbidden, Unauthenticated
from aigateway.secrets import Secret
from aigateway.types import ANYONE, IN_PROCESS, Caller

CHAT, ADMIN = frozenset({"chat"}), frozenset({"admin"})
KEYS = StaticKeys([("editor", Secret("editor-key"), CHAT), ("operator", Secret("operator-key"), ADMIN)])


def test_a_known_key_names_its_caller() -> None:
    """Name, scopes, tenant, and the masked key for logs."""
    caller = KEYS.caller("editor-key")

    assert Caller("editor", CHAT, key=Secret("editor-key").id, tenant="editor") == caller
    assert "editor-key" not in repr(caller)
    assert 2 == len(KEYS)


@given(st.text(max_size=2000))
def test_unknown_keys_are_refused_alike(key: str) -> None:
    """Empty, almost right, huge, not even text: one body, one status."""
    with pytest.raises(Unauthenticated) as error:
        KEYS.caller(key)

    assert (401, "invalid_api_key", "authentication_error") == (
        error.value.status,
        error.value.code,
        error.value.type,
    )
    assert str(error.value) == _refusal("editor-ke")


@pytest.mark.parametrize("key", ["", "editor-key ", "EDITOR-KEY", "editor-keyx", "x" * 10_000, "\ud800"])
def test_near_misses_are_misses(key: str) -> None:
    """No trimming, no folding, no prefix."""
    assert _refusal("nothing") == _refusal(key)


def _refusal(key: str) -> str:
    with pytest.raises(Unauthenticated) as error:
        KEYS.caller(key)
    return str(error.value)


def test_without_keys_nobody_is_known() -> None:
    """An empty table refuses the empty key too."""
    with pytest.raises(Unauthenticated):
        StaticKeys([]).caller("")
    with pytest.raises(Unauthenticated):
        StaticKeys([("empty", Secret(""), CHAT)]).caller("")


def test_scopes_are_required() -> None:
    """The scope itself or the operator's passes; anything else is a 403 naming the scope."""
    require(Caller("x", CHAT), "chat")
    require(Caller("x", ADMIN), "chat")
    require(IN_PROCESS, "admin")
    for caller, scope in [(Caller("x", CHAT), "admin"), (ANYONE, "chat"), (Caller("x", frozenset()), "chat")]:
        with pytest.raises(Forbidden, match=f"'{scope}'") as error:
            require(caller, scope)
        assert 403 == error.value.status
