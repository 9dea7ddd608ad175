"""Vectors of two models cannot be compared, so a request for vectors keeps to one model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..types import Call, Drop, Target

__all__ = ["one_space"]

Group = tuple[str, Sequence[Target]]


def one_space(call: Call, groups: Iterable[Group], gives_vectors: Callable[[Target], bool]) -> list[Group]:
    """Leave only targets with the model of the first that gives vectors, in the order of the configuration.

    The order a policy makes does not count: a client that stores vectors must get the same model's every
    time. The same model may be at several providers under one id. Requests for anything else pass.
    """
    groups = list(groups)
    if call.operation != "embeddings":
        return groups
    able = (target for _, targets in groups for target in targets if gives_vectors(target))
    first = next(able, None)
    if first is None:
        return groups
    reason = f"its vectors cannot be compared with those of {first.model}"
    call.trace.dropped += (
        Drop(str(target), "other_model", reason)
        for _, targets in groups
        for target in targets
        if target.model != first.model
    )
    return [(name, [target for target in targets if target.model == first.model]) for name, targets in groups]
