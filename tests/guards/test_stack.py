"""Guards: in, in order; out, in reverse, whatever happens between; on a virtual clock where one hangs."""

from __future__ import annotations

import anyio
import pytest
import trio
import trio.testing

from aigateway import guards
from aigateway.errors import Refusal
from aigateway.guards import Guard, GuardStack, close_all, tell
from aigateway.types import Call, ChatRequest, Chunk, Outcome, Reply, Usage

REQUEST = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}]})
DONE = Outcome("complete")


class Watch:
    """Note entering and leaving; refuse, answer, fail or hang when told to."""

    def __init__(
        self, name: str, diary: list[str], *, instant: bool = False, enter: object = None, leave: object = None
    ) -> None:
        self.name, self.diary = name, diary
        self.instant = instant
        self.on_enter, self.on_leave = enter, leave

    async def enter(self, call: Call) -> None:
        """Note it."""
        if isinstance(self.on_enter, BaseException):
            raise self.on_enter
        if isinstance(self.on_enter, Reply):
            call.reply = self.on_enter
        self.diary.append(f"+{self.name}")

    async def leave(self, call: Call, outcome: Outcome) -> None:
        """Note it."""
        if isinstance(self.on_leave, BaseException):
            raise self.on_leave
        if isinstance(self.on_leave, float):
            await anyio.sleep(self.on_leave)
        self.diary.append(f"-{self.name}:{outcome.state}")


async def through(*guards: Guard, outcome: Outcome = DONE) -> None:
    """Enter and leave as the gateway does."""
    stack, call = GuardStack(guards), Call(REQUEST)
    try:
        await stack.enter(call)
    finally:
        await stack.leave(call, outcome)


pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("instant", [(), ("a",), ("b",), ("c",), ("a", "b", "c")], ids=str)
async def test_in_order_and_out_in_reverse(instant: tuple[str, ...]) -> None:
    """Whether a guard awaits while leaving or not."""
    diary: list[str] = []
    await through(*(Watch(name, diary, instant=name in instant) for name in "abc"))

    assert ["+a", "+b", "+c", "-c:complete", "-b:complete", "-a:complete"] == diary


async def test_a_refusal_leaves_those_that_were_entered() -> None:
    """Not itself, and not those after it."""
    diary: list[str] = []
    guards = [Watch("a", diary), Watch("b", diary, enter=Refusal("no")), Watch("c", diary)]
    with pytest.raises(Refusal):
        await through(*guards, outcome=Outcome("failed"))

    assert ["+a", "-a:failed"] == diary


async def test_an_answer_ends_the_entering() -> None:
    """The guard that answered leaves too, those after it never knew."""
    diary: list[str] = []
    reply = Reply({"choices": []}, Usage())
    await through(Watch("a", diary), Watch("b", diary, enter=reply), Watch("c", diary))

    assert ["+a", "+b", "-b:complete", "-a:complete"] == diary


@pytest.mark.parametrize("instant", [False, True])
async def test_a_guard_that_fails_leaving_stops_nobody(instant: bool, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged by its class, and the others leave."""
    diary: list[str] = []
    failing = Watch("b", diary, instant=instant, leave=ValueError("x"))
    await through(Watch("a", diary), failing, Watch("c", diary))

    assert ["+a", "+b", "+c", "-c:complete", "-a:complete"] == diary
    assert "the guard Watch failed while leaving" in caplog.text


async def test_leaving_twice_is_leaving_once() -> None:
    """What was left is gone."""
    diary: list[str] = []
    stack, call = GuardStack([Watch("a", diary)]), Call(REQUEST)

    assert not stack
    await stack.enter(call)
    assert stack
    for _ in range(2):
        await stack.leave(call, DONE)
    assert ["+a", "-a:complete"] == diary
    assert not stack


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_leaving_is_shielded_from_cancellation(backend: str) -> None:
    """A client that left does not keep a guard from doing its accounts."""
    diary: list[str] = []

    async def story() -> None:
        with anyio.CancelScope() as scope:
            stack, call = GuardStack([Watch("a", diary, leave=0.01), Watch("b", diary, leave=0.0)]), Call(REQUEST)
            await stack.enter(call)
            scope.cancel()
            await stack.leave(call, Outcome("cancelled"))

    anyio.run(story, backend=backend)

    assert ["+a", "+b", "-b:cancelled", "-a:cancelled"] == diary


def test_a_guard_that_hangs_leaving_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """After five seconds each, and the others still leave."""
    diary: list[str] = []

    async def story() -> float:
        start = trio.current_time()
        await through(
            Watch("a", diary, leave=1.0), Watch("b", diary, leave=1e9), Watch("c", diary, leave=1e9), Watch("d", diary)
        )
        return trio.current_time() - start

    took = trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))

    assert ["+a", "+b", "+c", "+d", "-d:complete", "-a:complete"] == diary
    assert pytest.approx(11.0) == took
    assert 2 == caplog.text.count("was left behind")


async def test_a_listener_that_fails_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    """The stream goes on to the caller, and to the others who listen."""
    call, heard, failed = Call(REQUEST), list[object](), list[int]()

    def fails(batch: object) -> None:
        failed.append(1)
        raise ValueError("a guard's bug")

    call.listeners = (fails, heard.append)
    for number in range(3):
        tell(call, [Chunk({"id": str(number), "choices": []})])

    assert 3 == len(heard)
    assert [1] == failed
    assert 1 == caplog.text.count("a guard failed while listening")


def test_a_guard_that_does_not_exist() -> None:
    """Asking for it is an ordinary AttributeError, though guards are imported when somebody wants them."""
    assert not hasattr(guards, "NoSuchGuard")
    assert hasattr(guards, "Cache")


async def test_guards_are_closed_whatever_one_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that fails, one that hangs and one that has nothing to close stop no other, and are told apart in the log."""
    closed: list[str] = []

    class Closes(Watch):
        async def aclose(self) -> None:
            if self.name == "fails":
                raise ValueError("a guard's bug")
            if self.name == "hangs":
                await anyio.sleep_forever()
            closed.append(self.name)

    monkeypatch.setattr("aigateway.guards._stack.LEAVING", 0.05)
    await close_all([Closes("fails", []), Watch("plain", []), Closes("hangs", []), Closes("closes", [])])

    assert ["closes"] == closed
    assert "Closes failed while closing" in caplog.text
    assert "Closes took longer than 0.05 s to close" in caplog.text
