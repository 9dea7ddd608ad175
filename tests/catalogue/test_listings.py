"""What vendors list: new ids become known, missing ones are marked, no fact is lost, and a bad file changes nothing."""

from __future__ import annotations

import json
import logging
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway.catalogue import Catalogue, Listings
from aigateway.state import Document
from aigateway.types import ModelInfo

DAY = 86_400.0
KNOWN = ModelInfo("known", "a", window=1000)
RETIRED = ModelInfo("old", "a", successor="known")
HOMES = {"a": "https://a.example/v1", "b": "http://b.example/v1"}


class Clock:
    at = 1.8e9

    def now(self) -> float:
        return 0.0

    def wall(self) -> float:
        return self.at

    async def sleep(self, seconds: float, /) -> None:
        """Never wait."""


def made(path: Path | None = None, clock: Clock | None = None, homes: dict[str, str] = HOMES) -> tuple[Any, Listings]:
    catalogue = Catalogue({"a": [KNOWN, RETIRED], "b": []})
    listings = Listings(catalogue, homes, clock or Clock(), Document(path) if path else None)
    listings.load()
    return catalogue, listings


def test_a_list_is_taken_in() -> None:
    """What nobody described is known by its name alone; what is not listed stays, marked; retired names are no loss."""
    catalogue, listings = made()

    assert None is catalogue.is_listed(KNOWN)
    row = listings.take("a", ["new", "new", "org/other"])

    assert {"provider": "a", "models": 2, "new": ["new", "org/other"], "gone": ["known"], "error": None} == row
    assert ["known", "old", "new", "org/other"] == list(catalogue["a"])
    assert ModelInfo("new", "a", abilities=frozenset()) == catalogue.info("a", "new")
    assert KNOWN == catalogue.info("a", "known")
    assert [False, True] == [catalogue.is_listed(catalogue.info("a", name)) for name in ("known", "new")]
    assert "new" in [info.id for info in catalogue.living(date(2026, 1, 1))]


def test_the_next_list_takes_the_place_of_the_last() -> None:
    """A name nobody described is forgotten with the list it stood in."""
    catalogue, listings = made()
    listings.take("a", ["new"])
    row = listings.take("a", ["known", "newer"])

    assert (["newer"], ["new"]) == (row["new"], row["gone"])
    assert ["known", "old", "newer"] == list(catalogue["a"])
    assert catalogue.is_listed(KNOWN)


def test_lists_are_kept(tmp_path: Path) -> None:
    """The next process knows them; each provider's for itself."""
    path = tmp_path / "x-models.json"
    _, listings = made(path)
    listings.take("a", ["known", "new"])
    listings.take("b", ["m"])
    listings.save()
    catalogue, _ = made(path)

    assert ["known", "old", "new"] == list(catalogue["a"])
    assert ["m"] == list(catalogue["b"])
    assert [path.name] == [found.name for found in tmp_path.iterdir() if not found.name.startswith(".")]


@pytest.mark.parametrize(
    ("age", "home", "known"),
    [(6.9 * DAY, HOMES["a"], True), (7.1 * DAY, HOMES["a"], False), (-60.0, HOMES["a"], False), (1.0, "else", False)],
    ids=["young", "old", "of tomorrow", "of another place"],
)
def test_what_is_kept_is_not_believed_for_ever(tmp_path: Path, age: float, home: str, known: bool) -> None:
    """A list is good for seven days, at the place it is from."""
    path, clock = tmp_path / "x.json", Clock()
    _, listings = made(path, clock)
    listings.take("a", ["new"])
    listings.save()
    clock.at += age
    catalogue, _ = made(path, clock, {"a": home})

    assert known == ("new" in catalogue["a"])


ROWS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["at", "home", "ids", "a"]), inner),
    max_leaves=8,
)


@given(ROWS)
def test_odd_files_are_passed_over(tmp_path_factory: pytest.TempPathFactory, rows: Any) -> None:
    """Whatever a file holds, the catalogue keeps what is described."""
    path = tmp_path_factory.mktemp("lists") / "x.json"
    path.write_text(json.dumps({"providers": {"a": rows}, "version": 1}), encoding="utf-8")
    path.chmod(0o600)
    catalogue, _ = made(path)

    assert KNOWN == catalogue.info("a", "known")


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00" * 100], ids=["empty", "cut", "a list", "zeros"])
def test_a_corrupt_file_is_said_and_replaced(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is ignored with a warning; the next list is written in its place."""
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    with caplog.at_level(logging.WARNING, "aigateway.catalogue"):
        catalogue, listings = made(path)
    listings.take("a", ["new"])
    listings.save()

    assert ["known", "old", "new"] == list(catalogue["a"])
    assert "passed over" in caplog.text
    assert "new" in made(path)[0]["a"]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is listed counts all the same."""
    catalogue, listings = made(tmp_path / "no" / "folder" / "x.json")
    listings.take("a", ["new"])
    with caplog.at_level(logging.WARNING, "aigateway.catalogue"):
        listings.save()

    assert "new" in catalogue["a"]
    assert "known to this process only" in caplog.text


def test_what_a_vendor_lists_is_not_trusted() -> None:
    """Ids that cannot be ids are left out, and no vendor lists more than a bound."""
    catalogue, listings = made()
    odd: list[Any] = ["", "a\nb", "\x1b[31m", "x" * 257, None, 7, "fine"]
    row = listings.take("a", odd + [f"m{number}" for number in range(60_000)])

    assert 50_000 == row["models"]
    assert "fine" in catalogue["a"]
    assert not {"", "a\nb", "\x1b[31m", "x" * 257} & set(catalogue["a"])
