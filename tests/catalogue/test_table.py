"""One table over all providers, in the configuration's order."""

from __future__ import annotations

from datetime import date

import pytest

from aigateway.catalogue import Catalogue
from aigateway.types import ModelInfo

TODAY = date(2026, 9, 1)
LIVING = ModelInfo("x", "a", window=1000)
LEAVING = ModelInfo("leaving", "a", successor="x", shutdown=date(2027, 1, 1))
GONE = ModelInfo("gone", "a", successor="x", shutdown=date(2026, 1, 1))
RETIRED = ModelInfo("retired", "a", successor="x")
TABLE = Catalogue({"b": [], "a": [LIVING, LEAVING, GONE, RETIRED]})


def test_it_maps_providers_to_models() -> None:
    """It is a mapping of mappings and keeps the order it was given."""
    assert ["b", "a"] == list(TABLE)
    assert 2 == len(TABLE)
    assert {"x": LIVING, "leaving": LEAVING, "gone": GONE, "retired": RETIRED} == TABLE["a"]
    assert {} == TABLE["b"]
    with pytest.raises(KeyError):
        TABLE["c"]


def test_info_of_what_is_unknown_is_nothing() -> None:
    """Neither an unknown provider nor an unknown model is an error."""
    assert LIVING == TABLE.info("a", "x")
    assert None is TABLE.info("a", "y") is TABLE.info("c", "x")


def test_retired_names_are_not_listed() -> None:
    """A model is listed while it answers itself."""
    assert [LIVING, LEAVING] == list(TABLE.living(TODAY))
    assert [LIVING] == list(TABLE.living(date(2027, 1, 2)))
    assert [LIVING, LEAVING, GONE] == list(TABLE.living(date(2025, 12, 31)))
