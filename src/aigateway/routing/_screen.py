"""Which targets cannot help with a request, and why: judged on what is known of them, before the policy.

What a catalogue says for certain (an operation, tools, images, a price) drops a target for good. What
is only estimated, or said by some vendors only, drops it as long as its route has another.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, NamedTuple, Protocol

from ..types import Call, Drop, MaxPrice, ModelInfo, Price, Target
from ._tree import Branch
from ._when import When

__all__ = ["Needs", "Screen", "View", "needs_of"]

# What a catalogue says, at most, of a model whose abilities nobody wrote down.
UNKNOWN = frozenset({"chat"})
NOTHING: frozenset[str] = frozenset()
# The ability each operation takes.
ABILITIES = {
    **dict.fromkeys(("chat", "completions", "responses", "messages"), "chat"),
    "embeddings": "embeddings",
    "images": "images",
}
# Lists, for a caller may send what no set can look up.
IMAGES = ("image_url", "input_image", "image")
EFFORTS = ("low", "medium", "high", "xhigh")
# A request whose tokens are so many times the window does not fit, however wrong the estimate is.
SURELY = 2
WORDS = {
    "tools": "it does not take tools",
    "vision": "it does not take images",
    "json_schema": "it does not keep to a JSON schema",
    "reasoning": "it does not reason",
}


class Needs(NamedTuple):
    """What a request needs: abilities without which it fails, all it would be better for, tokens, a price."""

    operation: str = "chat"
    ability: str = "chat"
    must: frozenset[str] = NOTHING
    wants: frozenset[str] = NOTHING
    output: int = 0
    max_price: MaxPrice | None = None


Passed = dict[int, tuple[Target, float, float]]


class View(Protocol):
    """What a screen may look at, for one request."""

    def info(self, target: Target) -> ModelInfo | None:
        """Give what is known of a model."""

    def cannot(self, target: Target) -> tuple[str, str] | None:
        """Say why a provider cannot be asked this: a code, and a reason."""

    def tokens(self, target: Target | None) -> int:
        """Estimate the tokens of the request, for one target or in general."""

    def most(self) -> int:
        """Give the most tokens the request can be for any target."""

    def price(self, info: ModelInfo) -> Price | None:
        """Give the prices of a model for this request, now."""

    def passed(self, needs: Needs) -> Passed:
        """Give who passed for the same needs lately, by the target's `id`, with window and longest answer."""


class Screen:
    """Leave out of a tree what cannot help with one request; `dropped` says what, and why."""

    def __init__(self, call: Call, view: View) -> None:
        self.dropped: list[Drop] = []
        self._call = call
        self._view = view
        self._needs = needs_of(call)
        # Whoever has all of this needs no closer look; who says nothing of itself is looked at.
        self._all = self._needs.wants | {self._needs.ability} if self._needs.ability else self._needs.wants
        self._room = view.most() + self._needs.output
        most = self._needs.max_price
        limits = (("input", most.input), ("output", most.output)) if most else ()
        self._limits = [(name, round(dollars * 1e6)) for name, dollars in limits if dollars is not None]
        self._tokens = view.tokens(None)
        self._passed = view.passed(self._needs)
        self._doubts: list[Drop] = []

    def sift(self, groups: list[Branch]) -> list[Branch]:
        """Give what is left of each group; what is only in doubt counts while its group has nothing else.

        So a model that was named is asked first on a mere doubt, too: others follow when it fails.
        """
        return [branch for branch in map(self._sifted_twice, groups) if branch.members]

    def meeting(self, groups: list[Branch]) -> list[Branch]:
        """Leave out what has a condition this request does not meet, and look at nothing else."""
        return [branch for branch in map(self._met, groups) if branch.members]

    def could(self, target: Target) -> bool:
        """Tell whether nothing at all speaks against a target."""
        return not self._drops(target, True)

    def _sifted_twice(self, group: Branch) -> Branch:
        before, self._doubts = len(self.dropped), []
        sure = self._sifted(group, doubting=True)
        if sure.members or not self._doubts:
            self.dropped += self._doubts
            return sure
        del self.dropped[before:]
        return self._sifted(group, doubting=False)

    def _sifted(self, branch: Branch, *, doubting: bool) -> Branch:
        members: list[Target | Branch] = []
        for member in branch.members:
            if isinstance(member, Target):
                if not self._drops(member, doubting):
                    members.append(member)
            elif member.when is not None and not self._holds(member, member.when):
                continue
            elif member.route:
                rest = self._sifted(member, doubting=doubting)
                if rest.members:
                    members.append(rest)
            else:  # a target with a condition is a target like any other, once its condition holds
                members += [m for m in member.members if isinstance(m, Branch) or not self._drops(m, doubting)]
        return branch.holding(members)

    def _met(self, branch: Branch) -> Branch:
        members: list[Target | Branch] = []
        for member in branch.members:
            if isinstance(member, Target):
                members.append(member)
            elif member.when is None or self._holds(member, member.when):
                rest = self._met(member)
                if rest.members:
                    members.append(rest)
        return branch.holding(members)

    def _holds(self, branch: Branch, when: When) -> bool:
        broken = when.broken(self._call, self._tokens)
        if broken:
            reason = f"the request does not meet its condition on {broken}"
            self.dropped += [Drop(str(target), "condition", reason) for target in branch.targets()]
        return not broken

    def _drops(self, target: Target, doubting: bool) -> bool:
        needs, passed = self._needs, self._passed.get(id(target))
        if passed is not None and passed[1] >= self._room and passed[2] >= needs.output:
            return False
        info = self._view.info(target)
        cannot = self._view.cannot(target)
        enough = info is None or (
            self._all <= info.abilities and info.window >= self._room and info.max_output >= needs.output
        )
        unfit = cannot or (None if enough or info is None else self._unfit(target, info)) or self._too_dear(info)
        if unfit is not None:
            self.dropped.append(Drop(str(target), *unfit))
            return True
        doubtful = self._doubtful(target, info) if doubting and info is not None and not enough else None
        if doubtful is not None:
            self._doubts.append(Drop(str(target), *doubtful))
        elif doubting and not (self._limits and info is not None and any(row.above_tokens for row in info.prices)):
            window, longest = (info.window or inf, info.max_output or inf) if info is not None else (inf, inf)
            self._passed[id(target)] = (target, window, longest)
        return doubtful is not None

    def _unfit(self, target: Target, info: ModelInfo) -> tuple[str, str] | None:
        """Say what certainly speaks against a target: a code, and a reason."""
        needs, known = self._needs, not info.abilities <= UNKNOWN
        if known and needs.ability and needs.ability not in info.abilities:
            return "operation", f"it is not a model for {needs.ability}"
        if known and not needs.must <= info.abilities:
            return "ability", WORDS[min(needs.must - info.abilities)]
        if 0 < info.window * SURELY < self._room and self._view.tokens(target) > info.window * SURELY:
            return "context_window", self._too_long(target, info)
        return None

    def _doubtful(self, target: Target, info: ModelInfo) -> tuple[str, str] | None:
        """Say what probably speaks against a target."""
        needs = self._needs
        if not (info.abilities <= UNKNOWN or needs.wants <= info.abilities):
            return "ability", WORDS[min(needs.wants - info.abilities)]
        if 0 < info.max_output < needs.output:
            return "max_output", f"it answers with {info.max_output:,} tokens at most, and {needs.output:,} are asked"
        if 0 < info.window < self._room and self._view.tokens(target) + needs.output > info.window:
            return "context_window", self._too_long(target, info)
        return None

    def _too_long(self, target: Target, info: ModelInfo) -> str:
        asked = f" and {self._needs.output:,} of answer" if self._needs.output else ""
        return f"about {self._view.tokens(target):,} tokens{asked} do not fit its window of {info.window:,}"

    def _too_dear(self, info: ModelInfo | None) -> tuple[str, str] | None:
        price = self._view.price(info) if self._limits and info is not None else None
        for name, limit in self._limits:
            rate: int | None = getattr(price, name, None)
            if rate is None:
                return "max_price", f"its price for {name} is not known"
            if rate > limit:
                dollars = f"${rate / 1e6:g} per million tokens"
                return "max_price", f"{name} costs {dollars}, more than ${limit / 1e6:g}"
        return None


def needs_of(call: Call) -> Needs:
    """Read out of a request what it needs."""
    body = call.request.body
    must = {"tools"} if body.get("tools") or body.get("functions") else set[str]()
    if _has_images(body.get("messages")):
        must.add("vision")
    wants = set(must)
    form = body.get("response_format")
    if isinstance(form, Mapping) and form.get("type") == "json_schema":
        wants.add("json_schema")
    if body.get("reasoning_effort") in EFFORTS:
        wants.add("reasoning")
    output = body.get("max_completion_tokens") or body.get("max_tokens")
    limit = output if isinstance(output, int) else 0
    operation, max_price = call.operation, call.request.routing.max_price
    return Needs(operation, ABILITIES.get(operation, ""), frozenset(must), frozenset(wants), limit, max_price)


def _has_images(messages: Any) -> bool:
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, Mapping) else None
        if isinstance(content, list) and any(isinstance(p, Mapping) and p.get("type") in IMAGES for p in content):
            return True
    return False
