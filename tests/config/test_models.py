"""Models in the configuration: laid over what plug-ins ship, exact, and refused where they are wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway import Gateway
from aigateway.catalogue import cost_of
from aigateway.config import load, parse
from aigateway.errors import ConfigurationError
from aigateway.types import Cost, ModelInfo, Price, Usage

KEY = [{"secret": "x", "allow_literal": True}]
PROVIDERS = {
    "deepseek": {"keys": KEY},
    "mine": {"type": "openai-compatible", "base_url": "http://127.0.0.1:1/v1"},
}


def known(model: str, **described: Any) -> ModelInfo:
    gateway = Gateway(parse({"providers": PROVIDERS, "models": {model: described}}))
    provider, _, name = model.partition("/")
    found = gateway.parts.catalogue.info(provider, name)
    assert found is not None
    return found


def written(tmp_path: Path, text: str) -> Gateway:
    path = tmp_path / "aigateway.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return Gateway(load(path))


TWO_ROWS = """[models."mine/x"]
[[models."mine/x".prices]]
input = 1
hours = ["Mon-Fri 01:00-04:00"]
[[models."mine/x".prices]]
input = 1
hours = ["Wed 03:00-05:00"]
"""
HEAD = """
[providers.deepseek]
keys = [{ secret = "x", allow_literal = true }]
[providers.mine]
type = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
"""


def test_what_is_given_goes_over_what_is_shipped() -> None:
    """Everything else stays as the plug-in says."""
    shipped = known("deepseek/deepseek-flash")
    ours = known("deepseek/deepseek-flash", window=64_000, prices=[{"input": "0.1", "output": 0.4}])

    assert 64_000 == ours.window
    assert (Price(date(1970, 1, 1), input=100_000, output=400_000),) == ours.prices
    assert (shipped.abilities, shipped.max_output) == (ours.abilities, ours.max_output)


def test_a_model_of_any_server_can_be_described() -> None:
    """A provider without a catalogue takes any model; what is not said of it is not known."""
    info = known(
        "mine/org/llama",
        window=32_768,
        max_output=4096,
        abilities=["chat", "tools"],
        released="2026-05-01",
        shutdown=date(2027, 5, 1),
        prices=[{"input": 0, "output": 0}],
    )

    assert (32_768, 4096, {"chat", "tools"}) == (info.window, info.max_output, info.abilities)
    assert (date(2026, 5, 1), date(2027, 5, 1)) == (info.released, info.shutdown)
    assert Cost(0, "priced") == cost_of(Usage(5, 5, source="reported"), info, 1.8e9)
    assert frozenset() == known("mine/x").abilities


def test_a_described_model_has_its_plain_name() -> None:
    """It can be asked for as any other."""
    gateway = Gateway(parse({"providers": PROVIDERS, "models": {"mine/org/llama": {"window": 1}}}))

    assert "mine/org/llama" == str(gateway.parts.names._one("org/llama", date(2026, 1, 1)).targets[0])


def test_a_new_model_says_so() -> None:
    """Where the plug-in knows models, one it does not know is added on purpose."""
    assert 5 == known("deepseek/deepseek-v9", new=True, window=5).window


def test_successors_can_be_chosen() -> None:
    """A retired name is answered by whom the operator says, or by nobody else."""
    other = known("deepseek/deepseek-chat", successor="deepseek-v4-pro", params={"thinking": {"type": "disabled"}})

    assert "deepseek-v4-pro" == other.successor
    assert {"thinking": {"type": "disabled"}} == other.successor_params
    assert None is known("deepseek/deepseek-chat", successor="").successor


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('[models."deepseek/deepseek-flsh"]\nwindow = 5', 7, 'Did you mean "deepseek/deepseek-flash"? To add it'),
        ('[models."deepsek/deepseek-flash"]\nwindow = 5', 7, "no provider 'deepsek' is configured. Did you mean"),
        ('[models."deepseek-flash"]\nwindow = 5', 7, 'Did you mean "deepseek/deepseek-flash"?'),
        ('[models."nobody/x"]\nwindow = 5', 7, "Write provider/model; there is: deepseek, mine."),
        ('[models."mine/"]\nwindow = 5', 7, "Write provider/model"),
        ('[models."mine/x"]\nabilities = ["chat", "visions"]', 8, "'visions' is not an ability. Did you mean"),
        ('[models."mine/x"]\nabilities = ["zzz"]', 8, "There is: audio, chat,"),
        ('[models."mine/x"]\nprices = [{ input = "-1" }]', 8, "must not be less than 0"),
        ('[models."mine/x"]\nprices = [{ input = -0.5 }]', 8, "must not be less than 0"),
        ('[models."mine/x"]\nprices = [{ input = "cheap" }]', 8, "must be US dollars"),
        ('[models."mine/x"]\nprices = [{ input = nan }]', 8, "must be US dollars"),
        ('[models."mine/x"]\nprices = [{ input = inf }]', 8, "must be US dollars"),
        ('[models."mine/x"]\nprices = [{ input = true }]', 8, "must be US dollars"),
        ('[models."mine/x"]\nprices = [{ input = "0.0000001" }]', 8, "more than 6 decimal places"),
        ('[models."mine/x"]\nprices = [{ input = 2000000 }]', 8, "more than anybody asks"),
        ('[models."mine/x"]\nprices = [{ since = 2026-01-01 }]', 8, "states no price"),
        ('[models."mine/x"]\nprices = [{ input = 1, inptu = 2 }]', 8, "Did you mean 'input'?"),
        ('[models."mine/x"]\nprices = [{ input = 1, since = "soon" }]', 8, "must be a day, such as 2027-01-31"),
        ('[models."mine/x"]\nprices = [{ input = 1, since = 2026-02-01, until = 2026-02-01 }]', 8, "ends (`until`)"),
        ('[models."mine/x"]\nprices = [{ input = 1, hours = ["noon"] }]', 8, "must be hours of the week in UTC"),
        ('[models."mine/x"]\nprices = [{ input = 1, hours = ["Mon 25:00-26:00"] }]', 8, "must be hours of the week"),
        ('[models."mine/x"]\nprices = [{ input = 1 }, { output = 2 }]', 8, "rows 1 and 2 hold"),
        (
            TWO_ROWS,
            7,
            "rows 1 and 2",
        ),
        ('[models."mine/x"]\nwindow = 0', 8, "greater than or equal to 1"),
        ('[models."mine/x"]\nwindw = 5', 8, "Did you mean 'window'?"),
        ('[models."deepseek/deepseek-chat"]\nsuccessor = "deepseek-flsh"', 8, "Did you mean 'deepseek-flash'?"),
        ('[models."mine/x"]\nsuccessor = "y"', 8, "A successor is a model of the same provider"),
        (
            '[models."mine/x"]\nsuccessor = "y"\n[models."mine/y"]\nsuccessor = "x"',
            8,
            "its successor 'y' is retired itself",
        ),
    ],
)  # fmt: skip  # a table
def test_what_is_wrong_is_refused_with_its_place(tmp_path: Path, text: str, line: int, message: str) -> None:
    """The start is refused, with the line and what to write instead."""
    with pytest.raises(ConfigurationError) as refused:
        written(tmp_path, text)

    assert message in str(refused.value)
    assert f"aigateway.toml, line {line}" in str(refused.value)


@pytest.mark.parametrize(
    "rows",
    [
        [{"input": 1}, {"input": 2, "since": "2026-01-01"}],
        [{"input": 1}, {"input": 2, "above_tokens": 1000}],
        [{"input": 1}, {"input": 2, "tier": "flex"}],
        [{"input": 1}, {"input": 2, "hours": ["Mon 01:00-02:00"]}],
        [{"input": 1, "hours": ["Mon 02:00-03:00"]}, {"input": 2, "hours": ["Mon 01:00-02:00"]}],
    ],
    ids=["since", "size", "tier", "hours", "other hours"],
)
def test_rows_that_differ_do_not_overlap(rows: list[dict[str, Any]]) -> None:
    """Rows for other days, sizes, tiers and hours stand beside each other."""
    assert 2 == len(known("mine/x", prices=rows).prices)


@given(st.decimals(0, 1_000_000, places=6))
def test_prices_are_exact(dollars: Any) -> None:
    """A text with six decimals is a whole number of picodollars per token, and nothing is rounded."""
    (price,) = known("mine/x", prices=[{"input": str(dollars)}]).prices

    assert dollars * 10**6 == price.input


def test_a_number_means_what_is_written() -> None:
    """A TOML float is read as it was written, not as the binary fraction next to it."""
    (price,) = known("mine/x", prices=[{"input": 0.0375, "output": 4.35, "per_image": 0.0035}]).prices

    assert (37_500, 4_350_000, 3_500_000_000) == (price.input, price.output, price.per_image)
