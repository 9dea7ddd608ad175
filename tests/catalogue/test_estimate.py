"""Token estimates: close to what a vendor counts once it has counted, and never thrown off by what it claims."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.catalogue import Estimator, Size, expected_usage, size_of
from aigateway.types import Target, Usage

HERE = Target("a", "m")
LINE = "All work and no play makes a dull day. "


def asks(text: object, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}


def reported(count: int, output: int = 10) -> Usage:
    return Usage(count, output, source="reported")


def learnt(vendor: Any, sizes: list[Size]) -> Estimator:
    estimator = Estimator()
    for size in sizes:
        estimator.learn(HERE, size, reported(vendor(size)))
    return estimator


def sizes(random: Random, count: int, *, other: bool = False) -> list[Size]:
    made = []
    for _ in range(count):
        text = random.choice([random.randint(40, 400), random.randint(400, 40_000)])
        foreign = random.randint(0, 20_000) if other else 0
        made.append(Size(text, foreign, random.randint(1, 9)))
    return made


def test_what_is_counted() -> None:
    """Texts, wherever they stand; schemas and calls as their JSON; images by the piece, never by their data."""
    assert (100, 0, 1) == size_of(asks("x" * 100))[:3]
    assert (104, 0, 1) == size_of(asks([{"type": "text", "text": "x" * 100}, {"type": "text", "text": "more"}]))[:3]
    assert (4, 12, 1) == size_of(asks("你好世界 ok "))[:3]
    assert (14, 0) == size_of(asks("", tools=[{"type": "f"}]))[:2]
    assert (14, 0) == size_of(asks("", functions=[{"type": "f"}]))[:2]
    assert (12, 0) == size_of(asks("", response_format={"type": "f"}))[:2]
    assert (14, 0) == size_of({"messages": [{"role": "assistant", "tool_calls": [{"type": "f"}]}]})[:2]
    assert (14, 0) == size_of({"input": [{"role": "assistant", "tool_calls": [{"type": "f"}]}]})[:2]
    assert (4, 0) == size_of({"input": [{"content": [{"type": "text", "text": "four"}, 7, None]}, 7]})[:2]
    assert (10, 0, 0) == size_of({"prompt": "x" * 10})[:3]
    assert (30, 0, 0) == size_of({"input": ["x" * 10, "x" * 20]})[:3]
    assert (8, 0, 0) == size_of({"instructions": "four", "input": [{"role": "user", "content": "more"}]})[:3]


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}, 800),
        ({"type": "image_url", "image_url": {"url": "https://example.com/x.png", "detail": "low"}}, 85),
        ({"type": "input_audio", "input_audio": {"data": "A" * 1_000_000}}, 1000),
        ({"type": "something_new", "data": "A" * 1_000_000}, 0),
    ],
    ids=["image", "small image", "sound", "unknown"],
)
def test_images_count_roughly(part: dict[str, Any], tokens: int) -> None:
    """An image is some hundred tokens, however many bytes it has."""
    assert Size(0, 0, 1, tokens) == size_of(asks([part]))


def test_limits_and_answers() -> None:
    """The answer is as long as its limit lets it be, once for each that is asked for."""
    assert 500 == expected_usage(asks("hi")).output
    assert 20 == expected_usage(asks("hi", max_tokens=20)).output
    assert 30 == expected_usage(asks("hi", max_tokens=20, max_completion_tokens=30)).output
    assert 60 == expected_usage(asks("hi", max_tokens=20, n=3)).output
    assert "estimated" == expected_usage(asks("hi")).source


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["messages", "prompt", "input", "tools", "n", "max_tokens", "response_format", "content"])


@given(st.dictionaries(FIELDS, JSON | st.lists(st.dictionaries(FIELDS, JSON, max_size=3), max_size=3), max_size=5))
def test_no_request_is_too_odd(body: dict[str, Any]) -> None:
    """Whatever a body holds, it has a size, and the size an estimate that is no less than nothing."""
    usage = expected_usage(body)

    assert usage.input >= 0
    assert usage.output > 0


@given(st.floats(1.5, 12.0), st.integers(0, 7), st.integers(0, 10**6))
def test_it_converges_on_a_fixed_ratio(ratio: float, overhead: int, seed: int) -> None:
    """Thirty reports of a vendor with so many characters a token, and the next estimates are within 10%."""

    def vendor(size: Size) -> int:
        return max(1, round(size.plain / ratio) + overhead * size.messages)

    random = Random(seed)
    estimator = learnt(vendor, sizes(random, 30))
    for size in sizes(random, 10):
        assert abs(estimator.input(HERE, size) - vendor(size)) <= 0.1 * vendor(size) + 1


@given(st.floats(3.0, 5.0), st.floats(2.0, 6.0), st.integers(0, 10**6))
def test_it_tells_scripts_apart(ratio: float, foreign: float, seed: int) -> None:
    """Where other text costs other than ASCII, both are learnt."""

    def vendor(size: Size) -> int:
        return round(size.plain / ratio + size.other / foreign) + 4 * size.messages

    random = Random(seed)
    estimator = learnt(vendor, sizes(random, 60, other=True))
    for size in sizes(random, 10, other=True):
        assert abs(estimator.input(HERE, size) - vendor(size)) <= 0.1 * vendor(size) + 1


@given(st.lists(st.tuples(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12)), max_size=60))
def test_lies_do_not_carry_it_away(figures: list[tuple[int, int]]) -> None:
    """Whatever a vendor claims, an estimate stays within ten times of the first belief, either way."""
    estimator, size, first = Estimator(), Size(4000, 0, 2), 1008
    for count, output in figures:
        estimator.learn(HERE, size, reported(count, output))
        usage = estimator.usage(HERE, size)

        assert first / 10 - 8 <= usage.input <= first * 10
        assert 0 <= usage.output <= 1_000_000


@pytest.mark.parametrize("lie", [-1, 0, 1, 10**9, 10**15], ids=str)
def test_a_lie_among_true_reports_changes_little(lie: int) -> None:
    """Negative, empty and huge figures are passed over."""
    estimator = learnt(lambda size: size.plain // 3, sizes(Random(1), 30))
    size = Size(9000, 0, 3)
    before = estimator.input(HERE, size)
    for _ in range(20):
        estimator.learn(HERE, size, reported(lie, lie))

    assert before == estimator.input(HERE, size)


def test_only_reports_teach() -> None:
    """An estimate is no report; an image leaves the text's weights alone."""
    estimator = Estimator()
    estimator.learn(HERE, Size(4000, 0, 1), Usage(10, 10, source="estimated"))
    estimator.learn(HERE, Size(4000, 0, 1, 800), reported(400))

    assert 1004 == estimator.input(HERE, Size(4000, 0, 1))
    assert 1804 == estimator.input(HERE, Size(4000, 0, 1, 800))


def test_answers_are_learnt_within_the_limit() -> None:
    """A model that says little is expected to; one nobody asked is expected to answer as the others do."""
    estimator, size = Estimator(), Size(400, 0, 1)
    for _ in range(20):
        estimator.learn(HERE, size, reported(100, 50))

    assert 50 == estimator.usage(HERE, size).output
    assert 50 == estimator.usage(Target("b", "n"), size).output
    assert 20 == estimator.usage(HERE, size._replace(limit=20)).output
    assert 150 == estimator.usage(HERE, size._replace(answers=3, limit=4000)).output


def test_what_a_call_used_that_was_not_told() -> None:
    """Its request, and the text that came back, by what is known of the model."""
    estimator, size = Estimator(), Size(4000, 0, 1)

    assert Usage(1004, 25, source="estimated") == estimator.spent(HERE, size, 100)
    assert 0 == estimator.spent(HERE, size, 0).output


def test_memory_is_bounded() -> None:
    """Names callers make up push out the oldest, and no more."""
    estimator = Estimator(limit=10)
    for number in range(1000):
        estimator.learn(Target("a", str(number)), Size(400), reported(300))

    assert 10 == len(estimator._models)
    assert 100 != estimator.input(Target("a", "999"), Size(400))


def test_reports_are_wanted_less_and_less() -> None:
    """The first are all learnt from, later ones now and then."""
    estimator = Estimator()
    estimator.learn(HERE, Size(400), reported(100))

    wanted = [estimator.wants(HERE) for _ in range(1000)]

    assert all(wanted[:60])
    assert 40 <= sum(wanted[100:]) <= 80


def test_a_long_text_is_judged_by_its_beginning() -> None:
    """Ten megabytes of Chinese are measured at once, and close."""
    size = size_of(asks(("你好世界。 " * 2_000_000)[: 10 * 2**20]))

    assert 0.99 <= size.other / (10 * 2**20 * 15 / 6) <= 1.01
