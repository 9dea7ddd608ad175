"""At most so many requests, or tokens, in any minute: per caller, user, model, address, or for all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Any, NamedTuple

from ..errors import ConfigurationError, Refusal
from ..state import Rule, SharedLimits, Taken
from ..types import Call, Caller, Limits, Outcome, Usage
from ._guard import GuardOptions
from ._meter import Meter, counted, share
from ._settings import count_of, one_of

__all__ = ["RateLimit", "duration"]

LOG = logging.getLogger("aigateway.guards")
LONGEST_NAME = 64


class RateLimit:
    """Let through what is within the limit, and say in headers what is left of it.

    A request counts when it enters. Tokens are estimated then, and corrected to what was used when
    the answer has ended. Refuses with 429 as OpenAI does.
    """

    SETTINGS: Mapping[str, Any] = {
        "per": "caller", "requests_per_minute": 1000, "burst": 0, "tokens_per_minute": 0, "tokens_burst": 0,
    }  # fmt: skip  # one row
    instant = True

    def __init__(self, options: GuardOptions) -> None:
        per = one_of(options, "per", IDENTITIES)
        self._per = per
        self._identify = IDENTITIES[per]
        self._now = options.clock.now
        self._estimate = options.estimate
        self._kinds: list[Kind] = []
        shared: SharedLimits | None = getattr(options.shared, "limits", None)
        for name, setting, burst in (("requests", "requests_per_minute", "burst"), TOKENS):
            limit, at_once = count_of(options, setting), count_of(options, burst)
            rule = _rule(limit, at_once, burst)
            if rule is not None or per == "caller":  # a key may have a limit of its own
                self._kinds.append(Kind(name, per, rule, options.workers, shared))
        if shared is None and options.workers > 1:
            _warn(self._kinds, options.workers)
        self._open: dict[int, tuple[Entry, ...]] = {}  # what calls under way took

    async def enter(self, call: Call) -> None:
        """Take what the call needs. Raises Refusal where a limit is reached."""
        identity, now = self._identify(call), self._now()
        taken: tuple[Entry, ...] = ()
        for kind in self._kinds:
            rule = self._rule(kind, call.caller)
            if rule is None:
                continue
            name, amount = rule.name + identity, self._amount(kind, call)
            found = await kind.shared(name, amount, rule) if kind.is_shared else None
            if found is None:
                found = kind.alone(name, amount, rule, now)
            entry = Entry(kind, name, amount, rule, found)
            if not found.admitted:
                raise self._refused(call, identity, entry, taken)
            taken += (entry,)
        for entry in taken:
            entry.kind.show(call.headers, entry.rule, entry.taken)
        if taken:
            self._open[id(call)] = taken

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Correct the estimate; who got no answer used no tokens, and what nobody counted stays estimated.

        A call that another guard refused, before anybody was asked, does not count at all.
        """
        taken = self._open.pop(id(call), ())
        is_refused = isinstance(outcome.error, Refusal) and not call.trace.steps
        for entry in taken:
            if is_refused:
                entry.correct(0, self._now())
            elif entry.kind.is_corrected and (outcome.usage is not None or outcome.state == "failed"):
                entry.correct(outcome.usage.total if outcome.usage else 0, self._now())

    def known(self, call: Call, usage: Usage) -> None:
        """Correct the estimate of a whole answer before it is sent, and tell what is left then."""
        now, taken = self._now(), self._open.get(id(call), ())
        for entry in taken:
            if entry.kind.is_corrected:
                entry.correct(usage.total, now)
                entry.kind.show(call.headers, entry.rule, entry.look(now))
        if taken:
            self._open[id(call)] = tuple(entry for entry in taken if not entry.kind.is_corrected)

    def limits(self, caller: Caller, address: str, others: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the headers a call of theirs would have, without counting one; none where that depends on the call.

        `others` are those of another guard, which stay where they are tighter.
        """
        headers = dict(others or {})
        identity = {"caller": caller.space, "address": _network(address), "global": ""}.get(self._per)
        for kind in self._kinds if identity is not None else ():
            rule = self._rule(kind, caller)
            if rule is not None:
                kind.show(headers, rule, kind.look(rule.name + (identity or ""), rule, self._now()))
        return headers

    def _rule(self, kind: Kind, caller: Caller) -> Rule | None:
        return kind.rule if caller.limits is None else kind.rule_for(caller.limits)

    def _amount(self, kind: Kind, call: Call) -> int:
        return max(1, self._estimate(call).total) if kind.is_corrected else 1

    def _refused(self, call: Call, identity: str, refused: Entry, taken: Iterable[Entry]) -> Refusal:
        """Give back what was taken before, and tell how all limits stand and when all of them let the call in."""
        now, wait, headers = self._now(), refused.taken.wait, call.headers
        for entry in taken:
            entry.correct(0, now)
            entry.kind.show(headers, entry.rule, entry.look(now))
        refused.kind.show(headers, refused.rule, refused.taken)
        for kind in self._kinds[self._kinds.index(refused.kind) + 1 :]:
            rule = self._rule(kind, call.caller)
            if rule is not None:
                found = kind.look(rule.name + identity, rule, now, self._amount(kind, call))
                kind.show(headers, rule, found)
                wait = max(wait, found.wait)
        return self._refusal(refused, wait, headers)

    def _refusal(self, refused: Entry, wait: float, headers: Mapping[str, str]) -> Refusal:
        kind, limit, amount = refused.kind, refused.rule.limit, refused.amount
        what = f"the limit of {limit} {kind.name} per minute{'' if self._per == 'global' else f' for this {self._per}'}"
        if amount > limit:
            refusal = Refusal(f"{what} is less than the {amount} this request needs. Ask for less.", headers=headers)
        else:
            refusal = Refusal(f"{what} is reached. Try again in {duration(wait)}.", retry_after=wait, headers=headers)
        refusal.type = kind.name
        return refusal


class Kind:
    """Count one thing: requests, or tokens; alone, or with other processes."""

    def __init__(self, name: str, per: str, rule: Rule | None, workers: int, shared: SharedLimits | None) -> None:
        self.name = name
        self.rule = rule
        self.is_corrected = name == "tokens"
        self.is_shared = shared is not None
        self.meter = Meter()
        self._by_caller = per == "caller"
        self._prefix = f"{name}/{per}/"
        self._workers = workers
        self._shared = shared
        self._parts: dict[tuple[int, int], Rule] = {}
        self._headers = tuple(f"x-ratelimit-{what}-{name}" for what in ("limit", "remaining", "reset"))

    def rule_for(self, own: Limits) -> Rule | None:
        """Give the limit of a key's own, where it has one and callers are told apart."""
        limit = (own.tokens if self.is_corrected else own.requests) if self._by_caller else 0
        return _own(limit) if limit else self.rule

    async def shared(self, identity: str, amount: int, rule: Rule) -> Taken | None:
        """Take from what all processes share; None while they cannot."""
        return await self._shared.take(self._prefix + identity, amount, rule) if self._shared else None

    def alone(self, identity: str, amount: int, rule: Rule, now: float) -> Taken:
        """Take from this process's part; what passes so is told to those it shares with when they can be reached."""
        found = self.meter.take(identity, amount, self.part(rule), now)
        if self._shared is not None and found.admitted:
            self._shared.correct(self._prefix + identity, amount, rule, found)
        return found

    def correct(self, identity: str, more: int, rule: Rule, taken: Taken, now: float) -> None:
        """Take more or less than was taken."""
        if taken.shared and self._shared is not None:
            self._shared.correct(self._prefix + identity, more, rule, taken)
        else:
            self.meter.correct(identity, more, self.part(rule), taken, now)

    def look(self, identity: str, rule: Rule, now: float, amount: int = 0) -> Taken:
        """Tell what is left, and when an amount would pass."""
        found = self._shared.look(self._prefix + identity, rule, amount) if self._shared is not None else None
        return found or self.meter.look(identity, self.part(rule), now, amount)

    def show(self, headers: MutableMapping[str, str], rule: Rule, found: Taken) -> None:
        """Write headers, unless those of a tighter limit are there."""
        limit, remaining, reset = self._headers
        left = counted(found.left)
        if remaining in headers and int(headers[remaining]) <= left:
            return
        headers[limit] = rule.shown
        headers[remaining] = str(left)
        headers[reset] = duration(found.full)

    def part(self, rule: Rule) -> Rule:
        """Give this process's part, which is the whole where it is alone."""
        if self._workers == 1:
            return rule
        known = self._parts.get((rule.limit, rule.burst))
        if known is None:
            known = self._parts[rule.limit, rule.burst] = share(rule, self._workers)
        return known


class Entry(NamedTuple):
    """Hold what one call took of one limit."""

    kind: Kind
    identity: str
    amount: int
    rule: Rule
    taken: Taken

    def correct(self, used: int, now: float) -> None:
        """Let only what was used count."""
        if used != self.amount:
            self.kind.correct(self.identity, used - self.amount, self.rule, self.taken, now)

    def look(self, now: float) -> Taken:
        """Tell what is left now."""
        return self.kind.look(self.identity, self.rule, now)


TOKENS = ("tokens", "tokens_per_minute", "tokens_burst")


def duration(seconds: float) -> str:
    """Write a duration as OpenAI's headers do: `6ms`, `7.66s`, `1m12s`; never shorter than it is."""
    milliseconds = ceil(seconds * 1000 - 1e-6)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds > 0 else "0s"
    whole, part = divmod(milliseconds, 1000)
    shown = f"{whole % 60}.{part:03}".rstrip("0") if part else str(whole % 60)
    if whole < 60:
        return f"{shown}s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}h{minutes}m{shown}s" if hours else f"{minutes}m{shown}s"


# -- of whom ------------------------------------------------------------------------------------


def _user(call: Call) -> str:
    """Name a caller's user as the request does; without one, the caller is its own."""
    body = call.request.native or call.request.body
    user = body.get("safety_identifier") or body.get("user")
    if not user and isinstance(metadata := body.get("metadata"), Mapping):
        user = metadata.get("user_id")  # where the Anthropic dialect has it
    space = call.caller.space
    return f"{space}\0{_short(user)}" if isinstance(user, str) and user else space


def _short(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@lru_cache(4096)
def _network(address: str) -> str:
    """Name who has an address: an IPv6 customer has a /64 at least, and no limit if each of them counted."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return f"{IPv6Address(int(found) >> 64 << 64)}/64"
        found = found.ipv4_mapped
    return str(found)


IDENTITIES: Mapping[str, Callable[[Call], str]] = {
    "caller": lambda call: call.caller.space,
    "user": _user,
    "model": lambda call: call.resolved,
    "address": lambda call: _network(call.address[:64]),
    "global": lambda call: "",
}


# -- how much -----------------------------------------------------------------------------------


def _rule(limit: int, burst: int, setting: str) -> Rule | None:
    """Make a rule; a tenth at once where nothing is said, nothing to count where the limit is 0."""
    if not limit:
        return None
    if burst and burst >= limit and limit > 1:
        raise ConfigurationError(f"{setting} must be less than the limit per minute, {limit}. A tenth of it is usual.")
    return Rule(limit, burst or ceil(limit / 10))


@lru_cache(1024)
def _own(limit: int) -> Rule:
    return Rule(limit, ceil(limit / 10))


def _warn(kinds: Iterable[Kind], workers: int) -> None:
    """Say once, not in each worker, what becomes of a limit that is not shared."""
    from multiprocessing import parent_process

    parts = [f"{share(k.rule, workers).limit} {k.name}" for k in kinds if k.rule is not None]
    if parts and parent_process() is None:
        LOG.warning(
            "rate_limit: %d workers share no state, so each lets through its part: %s per minute. "
            "Set state.url (redis://...) to share the limit.",
            workers,
            " and ".join(parts),
        )
