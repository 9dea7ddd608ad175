"""A key that is replaced: the new one proves itself by a real call, nobody notices."""

from __future__ import annotations

from contextlib import suppress
from random import Random

from aigateway.errors import Kind, ProviderError
from aigateway.keys import Key, Ring, Slot, Wanted
from aigateway.secrets import Secret
from aigateway.state import Rests
from aigateway.types import Outcome

DONE = Outcome("complete")


class Vault:
    """A file with a secret in it; counts how often it was looked at."""

    def __init__(self) -> None:
        self.new: Secret | None = None
        self.looks = 0

    def __call__(self, force: bool) -> Secret | None:
        self.looks += 1
        found, self.new = self.new, None
        return found


class World:
    """A ring with one watched key, a clock, and a vendor who knows which keys are good."""

    def __init__(self, grace: float = 60.0) -> None:
        self.now = 100.0
        self.vault = Vault()
        self.slot = Slot(Key(Secret("old")), self.vault, grace=grace)
        self.ring = Ring("p", [self.slot], Rests(Random(0)), now=lambda: self.now, wall=lambda: self.now)
        self.good = {"old"}

    def call(self, kind: Kind | None = None) -> list[str]:
        """Make one call; give the keys it used, the last one answered unless the list ends with `failed`."""
        used = []
        for lease in self.ring.leases(Wanted("m")):
            with lease:
                assert lease.key.secret is not None
                used.append(lease.key.secret.reveal())
                if kind is not None:
                    raise ProviderError(kind, "x")
                if used[-1] not in self.good:
                    raise ProviderError(Kind.AUTH, "who are you?")
                lease.settle(DONE)
                return used
        return [*used, "failed"]

    def standing(self) -> list[tuple[str, str]]:
        return [(found["standing"], found["state"]) for found in self.ring.listing()]


def test_a_new_key_takes_over_after_its_first_answer() -> None:
    """It is tried by a real call, and in force from then on; the last one stands by for the grace."""
    world = World()
    world.call()
    world.vault.new, world.good = Secret("new"), {"old", "new"}
    world.now += 1.0

    assert ["new"] == world.call()
    assert [("current", "ok"), ("previous", "ok")] == world.standing()
    world.now += 60.0
    assert [("current", "ok")] == world.standing()


def test_a_bad_new_key_costs_one_free_refusal() -> None:
    """A new key the vendor refuses is put aside in the same request, and the one in force goes on."""
    world = World()
    world.vault.new = Secret("typo")
    world.now += 1.0

    assert ["typo", "old"] == world.call()
    assert ["old"] == world.call()
    assert [("current", "ok")] == world.standing()
    assert "auth" == world.ring.listing()[0]["trouble"]


def test_an_old_key_that_dies_at_once_is_noticed_at_once() -> None:
    """The vendor ends the old key before we looked: the refusal makes us look, and the same request succeeds."""
    world = World()
    world.call()
    world.vault.new, world.good = Secret("new"), {"new"}

    assert ["old", "new"] == world.call()
    assert ["new"] == world.call()


def test_a_new_key_that_dies_leaves_the_one_before() -> None:
    """A mistake found out after it was proved: within the grace the previous key answers."""
    world = World()
    world.vault.new, world.good = Secret("new"), {"old", "new"}
    world.now += 1.0
    world.call()
    world.good = {"old"}

    assert ["new", "old"] == world.call()
    assert ["old"] == world.call()


def test_other_failures_prove_nothing() -> None:
    """A vendor in trouble says nothing about a new key: it stays to be proved."""
    world = World()
    world.vault.new, world.good = Secret("new"), {"old", "new"}
    world.now += 1.0
    with suppress(ProviderError):
        world.call(Kind.SERVER_ERROR)

    assert "pending" == world.standing()[0][0]
    assert ["new"] == world.call()


def test_calls_under_way_finish_under_their_key() -> None:
    """A stream that began with the old key settles it, whatever is in force by then."""
    world = World()
    (lease, *_) = world.ring.leases(Wanted("m"))
    with lease:
        pass
    world.vault.new, world.good = Secret("new"), {"old", "new"}
    world.now += 1.0
    world.call()
    assert lease.key.secret is not None
    assert "old" == lease.key.secret.reveal()
    lease.settle(DONE)

    assert 0 == world.slot.in_use


def test_files_are_looked_at_once_a_second() -> None:
    """A thousand calls in a second are one look."""
    world = World()
    for _ in range(1000):
        world.now += 0.001
        world.call()

    assert world.vault.looks <= 2


def test_limits_of_a_key() -> None:
    """Models, an end, and calls at a time: what is not allowed is not tried."""
    now = 0.0
    slots = [
        Slot(Key(Secret("a"), models=("m*",))),
        Slot(Key(Secret("b"), ends=50.0)),
        Slot(Key(Secret("c"), concurrency=1)),
    ]
    ring = Ring("p", slots, Rests(Random(0)), now=lambda: now, wall=lambda: now)

    def usable(model: str) -> set[str]:
        return {lease.key.secret.reveal() for lease in ring.leases(Wanted(model)) if lease.key.secret}

    assert {"a", "b", "c"} == usable("m1")
    assert {"b", "c"} == usable("x")
    assert 3 == ring.free("m1")
    now = 50.0
    assert {"c"} == usable("x")
    lease = next(lease for lease in ring.leases(Wanted("x")))
    with lease:
        assert set() == usable("x")
        assert None is not ring.rest("x")
    lease.settle(DONE)
    assert None is ring.rest("x")


def test_nothing_secret_is_listed() -> None:
    """A listing names keys by their ids."""
    assert "old" not in str(World().ring.listing())


def test_what_happens_to_another_key_is_not_the_new_ones() -> None:
    """While a new key proves itself, calls with the old one go on: how they end says nothing about the new one."""
    world = World()
    world.vault.new = Secret("new")
    assert world.slot.look()
    old, new = world.slot.current, world.slot.pending
    world.slot.accept(old, 100.0)
    world.slot.refuse(old, "who are you?")

    assert new is world.slot.pending
    assert old is world.slot.current
    assert "" == world.slot.trouble


def test_a_key_nobody_watches_never_changes() -> None:
    """There is nothing to look at, and it says so."""
    slot = Slot(Key(Secret("only")))

    assert (False, False) == (slot.is_watched, slot.look(now=True))
    assert [Secret("only")] == slot.secrets
