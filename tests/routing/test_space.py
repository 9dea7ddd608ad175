"""A request for vectors keeps to one model, whatever the order of the day."""

from __future__ import annotations

from aigateway.routing import Branch, one_space
from aigateway.types import Target

SMALL, LARGE, CHAT = Target("a", "small"), Target("a", "large"), Target("a", "chat")
ELSEWHERE = Target("b", "small")


def gives_vectors(target: Target) -> bool:
    return target.model != "chat"


def test_the_first_model_that_gives_vectors() -> None:
    """Its model is kept wherever it stands, in routes inside of routes too; others go, with a reason."""
    inner = Branch("inner", (LARGE, ELSEWHERE))
    groups, drops = one_space([Branch("outer", (CHAT, SMALL, inner)), Branch("", (LARGE,))], gives_vectors)

    assert [SMALL, ELSEWHERE] == [target for branch in groups for target in branch.targets()]
    assert {("a/chat", "other_model"), ("a/large", "other_model")} == {(drop.target, drop.code) for drop in drops}
    assert all("small" in drop.reason for drop in drops)


def test_nobody_gives_vectors() -> None:
    """Then nothing is left out here: whoever judges abilities says why."""
    branch = Branch("r", (CHAT,))

    assert ([branch], []) == one_space([branch], gives_vectors)
