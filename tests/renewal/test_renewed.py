"""A gateway that is renewed with other settings: what is known goes on, what is the same is shared, the rest is new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from aigateway import Gateway
from aigateway.config import parse
from aigateway.errors import ConfigurationError, Kind
from aigateway.guards import GuardOptions
from aigateway.plugins import GuardRecord, Registry, hookimpl
from aigateway.state import of_key
from aigateway.types import Call, Outcome, Target

KEYS = [{"secret": f"sk-{name}-0123456789", "allow_literal": True} for name in ("one", "two")]
ROUTES = {"r": {"targets": ["openai/gpt-5.4-mini", "openai/gpt-5.5"], "policy": "round_robin"}}


def settings(**tables: Any) -> Any:
    return parse({"providers": {"openai": {"keys": KEYS}}, "routes": ROUTES, "default_model": "r", **tables})


class Door:
    """A guard that notes that it was closed."""

    closed = 0

    async def enter(self, call: Call) -> None:
        """Let it in."""

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """See it off."""

    async def aclose(self) -> None:
        self.closed += 1


class Doors:
    @hookimpl
    def aigateway_guards(self) -> Iterator[GuardRecord]:
        yield GuardRecord("door", self.make, settings={"color": "red"})

    def make(self, options: GuardOptions) -> Door:
        if options.settings["color"] == "none":
            raise RuntimeError("sk-one-0123456789")
        return Door()


def with_doors(*colors: str) -> Any:
    return settings(guards=[{"use": "door", "color": color} for color in colors])


@pytest.fixture
def registry() -> Registry:
    found = Registry()
    found.register(Doors(), "doors")
    return found


def test_what_is_known_is_shared() -> None:
    """Rests, health, decisions, the clock and what estimates learned are one and the same."""
    first = Gateway(settings())
    now = first.clock.now()
    key = first.parts.rings["openai"].keys[0]
    first.memory.rests.put(of_key("openai", key.id), "disabled", Kind.AUTH, now)
    first.memory.begin(Target("openai", "gpt-5.4-mini"))
    second = first.renewed(settings(routes={"other": {"targets": ["openai/gpt-5.5"]}}, default_model="other"))

    assert second.memory is first.memory
    assert second.health is first.health
    assert second.decisions is first.decisions
    assert second.clock is first.clock
    assert second.parts.estimator is first.parts.estimator
    assert ["disabled", "ok"] == [row["state"] for row in second.vendor_keys()]
    assert ["other"] == list(second.parts.names.routes)
    assert ["r"] == list(first.parts.names.routes)


def test_the_same_parts_go_on(registry: Registry) -> None:
    """A provider, a ring, a policy and a guard whose settings are the same are the ones there were."""
    first = Gateway(with_doors("red", "blue"), registry=registry)
    second = first.renewed(with_doors("blue", "green", "red"))

    assert second.registry is first.registry
    assert second.parts.providers["openai"] is first.parts.providers["openai"]
    assert second.parts.rings["openai"] is first.parts.rings["openai"]
    assert second.parts.policies["r"] is first.parts.policies["r"]
    assert [first.parts.guards[1], first.parts.guards[0]] == [second.parts.guards[0], second.parts.guards[2]]
    assert second.parts.guards[1] not in first.parts.guards


def test_two_guards_alike(registry: Registry) -> None:
    """Two that are written alike are two afterwards, not one twice."""
    first = Gateway(with_doors("red", "red"), registry=registry)
    second = first.renewed(with_doors("red", "red", "red"))

    assert list(first.parts.guards) == list(second.parts.guards)[:2]
    assert 3 == len(set(second.parts.guards))


def test_other_settings_make_other_parts() -> None:
    """Another address, rotation or policy is another provider, ring and policy; the keys' places go on."""
    first = Gateway(settings())
    table = {"keys": KEYS, "base_url": "https://example.com/v1", "rotation": "least_used"}
    routes = {"r": {**ROUTES["r"], "policy": "least_busy"}}
    second = first.renewed(settings(providers={"openai": table}, routes=routes))

    assert second.parts.providers["openai"] is not first.parts.providers["openai"]
    assert second.parts.rings["openai"] is not first.parts.rings["openai"]
    assert second.parts.policies["r"] is not first.parts.policies["r"]
    assert first.parts.rings["openai"].slots == second.parts.rings["openai"].slots


def test_keys_come_and_go() -> None:
    """A key that stays keeps its place, one with other settings keeps what it knows, a new one knows nothing."""
    first = Gateway(settings())
    for count, slot in enumerate(first.parts.rings["openai"].slots, 3):
        slot.uses, slot.in_use = count, 1
    new = {"secret": "sk-new-0123456789", "allow_literal": True}
    second = first.renewed(settings(providers={"openai": {"keys": [new, KEYS[1], {**KEYS[0], "weight": 5}]}}))
    slots = second.parts.rings["openai"].slots

    assert slots[1] is first.parts.rings["openai"].slots[1]
    assert [0, 4, 3] == [slot.uses for slot in slots]
    assert [0, 1, 0] == [slot.in_use for slot in slots]
    assert [1, 1, 5] == [slot.current.weight for slot in slots]


def test_a_key_in_a_file(tmp_path: Path) -> None:
    """A file that is being replaced is still watched by the place that knows the key before."""
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_text("sk-before-0123456789")
    table = {"openai": {"keys": [{"secret": f"file:{file}"}]}}
    first = Gateway(settings(providers=table))
    file.write_text("sk-after-0123456789")
    second = first.renewed(settings(providers=table))
    slot = second.parts.rings["openai"].slots[0]

    assert slot is first.parts.rings["openai"].slots[0]
    assert "sk-before-0123456789" == slot.current.secret.reveal()  # type: ignore[union-attr]  # there is one
    assert slot.look(now=True)
    assert "sk-after-0123456789" == slot.pending.secret.reveal()  # type: ignore[union-attr]  # there is one


def test_what_others_use_stays_open(registry: Registry) -> None:
    """Closing one gateway closes what no other uses, whichever is closed first; the last one closes the rest."""
    first = Gateway(with_doors("red", "blue"), registry=registry)
    second = first.renewed(with_doors("red", "green"))
    third = second.renewed(with_doors("red", "blue"))
    red, blue = first.parts.guards
    green, other_blue = second.parts.guards[1], third.parts.guards[1]
    doors, found = (red, blue, green, other_blue), []

    async def close() -> None:
        for gateway in (second, first, third):
            await gateway.aclose()
            found.append([door.closed for door in doors])  # type: ignore[attr-defined]  # they are doors

    anyio.run(close)

    assert [[0, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 1]] == found
    assert {} == first.lasting.open


def test_a_given_transport_stays_open() -> None:
    """A transport the owner gave is closed with the last gateway, not with the first."""

    class Network:
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    network, found = Network(), []
    first = Gateway(settings(), transport=network)  # type: ignore[arg-type]  # it is never asked
    second = first.renewed(settings())

    async def close() -> None:
        for gateway in (first, second):
            gateway._opened()
        for gateway in (first, second):
            await gateway.aclose()
            found.append(network.closed)

    anyio.run(close)

    assert [0, 1] == found


@pytest.mark.parametrize(
    "tables",
    [
        {"guards": [{"use": "door"}, {"use": "nobody"}]},
        {"guards": [{"use": "rate_limit", "per": "nobody"}]},
        {"providers": {"opnai": {"keys": KEYS}}, "routes": {}, "default_model": ""},
        {"routes": {"r": {"targets": ["openai/x"], "policy": "nobody"}}},
        {"default_model": "nobody"},
        {"state": {"url": "nobody://here"}},
    ],
)
def test_what_is_wrong_leaves_no_trace(tables: dict[str, Any], registry: Registry) -> None:
    """Settings that cannot be built raise; the gateway before is the only one there is, and unchanged."""
    first = Gateway(settings(), registry=registry)
    slots = first.parts.rings["openai"].slots
    with pytest.raises(ConfigurationError):
        first.renewed(settings(**tables))

    assert [first] == list(first.lasting.open)
    assert slots == first.parts.rings["openai"].slots


def test_another_place_for_what_rests(tmp_path: Path) -> None:
    """The place before is told nothing any more once its gateway closes; the gateway after it goes on alone."""
    first = Gateway(settings(state={"url": f"file:{tmp_path / 'state.json'}"}))
    second = first.renewed(settings())
    told: list[object] = []

    async def story() -> None:
        first._opened()
        told.append(first.memory.rests.tell)
        await first.aclose()
        told.append(second.memory.rests.tell)
        second.memory.rests.put(of_key("openai", "k"), "disabled", Kind.AUTH, second.clock.now())
        await second.aclose()

    anyio.run(story)

    assert told[0] is not None
    assert told[1] is None
    assert "openai" not in ((tmp_path / "state.json").read_text() if (tmp_path / "state.json").exists() else "")
