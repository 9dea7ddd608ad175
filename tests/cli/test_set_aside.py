"""What is there for good is kept from the garbage collector while a server runs, and not a moment longer."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any, cast

import pytest

from aigateway.cli import _server


def test_it_is_set_aside_while_the_server_runs() -> None:
    """Also when serving ends in an error, nothing stays aside: a test, or a program, goes on in this process."""
    with pytest.raises(OSError, match="the port"), _server.set_aside():
        during = gc.get_freeze_count()
        raise OSError("the port is taken")

    assert during > 1000
    assert 0 == gc.get_freeze_count()


def test_a_reload_takes_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway before a reload was set aside with the rest: the collector may have it now."""
    monkeypatch.setattr(_server, "secrets_of", lambda gateway: set())
    monkeypatch.setattr(_server, "hide_all", lambda gateway, beside: None)
    watch = SimpleNamespace(watch=lambda gateway: None)
    server: Any = SimpleNamespace(app=SimpleNamespace(gateway=None), _past=set(), _watchdog=watch)
    with _server.set_aside():
        _server.Server._adopt(server, cast("Any", None))

        assert 0 == gc.get_freeze_count()
