"""What is public is listed and importable; nothing else is promised."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import aigateway

PACKAGES = ["aigateway"] + [
    f"aigateway.{module.name}" for module in pkgutil.iter_modules(aigateway.__path__) if module.name != "__main__"
]


@pytest.mark.parametrize("name", PACKAGES)
def test_all_is_exact(name: str) -> None:
    """Each public module has an `__all__` without repeats (the linter keeps it sorted), and every name exists."""
    module = importlib.import_module(name)

    assert sorted(set(module.__all__)) == sorted(module.__all__)
    for public in module.__all__:
        assert getattr(module, public) is not None


def test_unknown_names_are_attribute_errors() -> None:
    """A typo is told as Python tells it."""
    with pytest.raises(AttributeError, match="Gatway"):
        aigateway.Gatway  # noqa: B018  # the access is the test
