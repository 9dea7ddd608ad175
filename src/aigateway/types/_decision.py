"""Why a request went where it went: layers append to a Trace, closing freezes a Decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from ..errors import Billed, Remedy
from ._target import Candidate
from ._usage import Cost, Known, Usage

if TYPE_CHECKING:
    from .request import Routing

__all__ = ["Considered", "Decision", "Drop", "Ended", "Role", "Step", "Trace"]

# The version of the schema (docs/explanation/decisions.md); a change that old readers would misread is a new one.
VERSION = 1
# How a sum is known: as its least certain part is.
DOUBTS: tuple[Known, ...] = ("unknown", "estimated", "priced", "reported")
# Why a call was made where it was not simply the next: beside a late one, after one that broke off, past a rest, as a
# copy; or that it was none, because a guard answered.
Role = Literal["", "hedge", "continue", "knock", "shadow", "guard"]
State = Literal["open", "dry", "complete", "interrupted", "cancelled", "failed"]


class Drop(NamedTuple):
    """One target that was not asked: `code` is for programs and stays, `reason` ends a sentence for people."""

    target: str
    code: str
    reason: str


class Considered(NamedTuple):
    """What a policy saw of one target; `cost` is an estimate in picodollars, `first_content` in seconds, 0 unknown."""

    target: str
    weight: int = 1
    keys_free: int = 1
    in_flight: int = 0
    failing: int = 0
    first_content: float = 0.0
    cost: int | None = None


class Step(NamedTuple):
    """One call to one target.

    `outcome` is `complete`, `cancelled` or the kind of the failure; `key` is a masked id;
    `start` and `seconds` are relative to the request, `first_content` to the call; `wait` was spent
    before it, `retry_after` is the wait the vendor named. `billed` tells whether the vendor counts
    it: no, maybe, yes; `usage` and `cost` are what is known of that. `reason` is in our words; `remedy`
    is there where the failure allowed something else than its kind does as a rule.
    """

    target: str
    outcome: str
    key: str = ""
    start: float = 0.0
    seconds: float = 0.0
    wait: float = 0.0
    reason: str = ""
    billed: Billed = "no"
    usage: Usage | None = None
    cost: Cost = Cost()
    role: Role = ""
    first_content: float | None = None
    retry_after: float | None = None
    remedy: Remedy | None = None

    def explain(self) -> str:
        """Tell it in a sentence."""
        from ._explain import sentence_of

        return sentence_of(self)


class Ended(NamedTuple):
    """How the whole request ended: after so many seconds, with which status and code if it failed."""

    state: State = "open"
    seconds: float = 0.0
    first_content: float | None = None
    status: int = 0
    code: str = ""


OPEN = Ended()


@dataclass(frozen=True, slots=True)
class Decision:
    """Tell how one request was routed; the same record for a dry run and a real call.

    It holds names, figures and our own words: no prompt, no answer, no key, nothing a vendor said.
    `at` is seconds since the epoch, `timeout` what the caller had; `estimate` what it was expected to
    use. `policies` are `route: policy`, `considered` what they saw. `seed` is the gateway's.
    """

    asked: str = ""
    resolved: str = ""
    candidates: tuple[str, ...] = ()
    dropped: tuple[Drop, ...] = ()
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    id: str = ""
    at: float = 0.0
    operation: str = "chat"
    stream: bool = False
    caller: str = ""
    timeout: float = 0.0
    estimate: Usage | None = None
    routing: Mapping[str, Any] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    considered: tuple[Considered, ...] = ()
    seed: int | None = None
    ended: Ended = OPEN
    version: int = VERSION

    @property
    def answered_by(self) -> str | None:
        """Name the target that answered."""
        return next((s.target for s in self.steps if s.outcome == "complete" and s.role != "shadow"), None)

    @property
    def usage(self) -> Usage | None:
        """Give what the call that answered used."""
        return next((s.usage for s in self.steps if s.outcome == "complete" and s.role != "shadow"), None)

    @property
    def cost(self) -> Cost:
        """Add up what all calls cost; with source `unknown` the amount is the part that is known.

        An answer a guard had cost nothing, and that is known; as it is where nobody was asked, or nobody counted it.
        """
        billed = [step.cost for step in self.steps if step.billed != "no" or step.role == "guard"]
        if not billed and (self.steps or self.ended.state not in {"open", "dry"}):
            return Cost(0, "priced")
        known = [cost.amount for cost in billed if cost.amount is not None]
        sources = {cost.source for cost in billed}
        source: Known = next((word for word in DOUBTS if word in sources), "unknown")
        return Cost(sum(known) if known else None, source)

    @property
    def attempts(self) -> int:
        """Count the calls that were made."""
        return len(self.steps)

    def explain(self) -> str:
        """Tell it in sentences, one a line."""
        from ._explain import explain

        return explain(self)

    def to_json(self, clean: Callable[[str], str] = str) -> str:
        """Give one line of JSON, in ASCII; what has its default is left out. `clean` is applied to every text."""
        from ._record import write

        return write(self, clean)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote. Raises RequestError: another version, or no such record."""
        from ._record import read

        return read(cls, text, VERSION)


@dataclass(slots=True)
class Trace:
    """Collect what layers know while a request is under way; `freeze` is for whoever wants to read it."""

    asked: str = ""
    resolved: str = ""
    candidates: list[Candidate] = field(default_factory=list)
    dropped: list[Drop] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    id: str = ""
    at: float = 0.0
    operation: str = "chat"
    stream: bool = False
    caller: str = ""
    timeout: float = 0.0
    estimate: Usage | None = None
    routing: Routing | None = None
    policies: list[str] = field(default_factory=list)
    seed: int | None = None
    ended: Ended = OPEN

    @property
    def billable(self) -> int:
        """Count the calls so far that the vendors may count."""
        return sum(step.billed != "no" for step in self.steps)

    @property
    def size(self) -> int:
        """Guess how many bytes it holds on to."""
        words = sum(map(len, self.warnings)) + sum(map(len, self.notes)) + len(self.asked)
        words += len(str(self.routing)) if self.routing is not None else 0
        return 1024 + 512 * len(self.steps) + 256 * len(self.dropped) + 128 * len(self.candidates) + words

    def freeze(self) -> Decision:
        """Give the record."""
        from ._record import frozen

        return frozen(self)
