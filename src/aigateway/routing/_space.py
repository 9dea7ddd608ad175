"""Vectors of two models cannot be compared, so a request for vectors keeps to one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..types import Drop, Target
from ._tree import Branch, pruned

__all__ = ["one_space"]


def one_space(groups: Sequence[Branch], gives_vectors: Callable[[Target], bool]) -> tuple[list[Branch], list[Drop]]:
    """Leave only targets with the model of the first that gives vectors, in the order of the configuration.

    Neither a policy nor what is known of the moment counts: a client that stores vectors must get the
    same model's every time. The same model may be at several providers under one id.
    """
    targets = [target for branch in groups for target in branch.targets()]
    first = next(filter(gives_vectors, targets), None)
    if first is None:
        return list(groups), []
    reason = f"its vectors cannot be compared with those of {first.model}"
    drops = [Drop(str(target), "other_model", reason) for target in targets if target.model != first.model]
    kept = (pruned(branch, lambda target, _: target.model == first.model) for branch in groups)
    return [branch for branch in kept if branch.members], drops
