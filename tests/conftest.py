"""What every test stands on: both event loops, a network that ends at this machine, a place beside the others."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pytest

# A busy machine is no reason to fail, and CI runs the same examples every time; new ones are for developers.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

# A shell ignores Ctrl-C for what it starts in the background, and so would every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _loopback_only(event: str, args: tuple[Any, ...]) -> None:
    """Refuse to connect anywhere else: no test may talk to a vendor."""
    if event == "socket.connect" and isinstance(args[1], tuple):
        host = str(args[1][0]).partition("%")[0]
        if host not in {"localhost", ""} and not ip_address(host).is_loopback:
            raise RuntimeError(f"a test tried to reach {host}")


sys.addaudithook(_loopback_only)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run async tests on asyncio and on trio."""
    return str(request.param)


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Show what was measured below the results, also when a worker measured it."""
    return lambda words: record_property("figure", words)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures."""
    for report in terminalreporter.getreports("passed"):
        for name, words in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(str(words))


# -- `pytest -n`: several workers, see side_by_side.py ------------------------------------------

ALONE = pytest.StashKey[Path]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where to write which tests are marked `alone`."""
    if ALONE not in node.config.stash:
        folder = TemporaryDirectory(prefix="alone-")
        node.config.add_cleanup(folder.cleanup)
        node.config.stash[ALONE] = Path(folder.name) / "alone.json"
    node.workerinput["alone"] = str(node.config.stash[ALONE])


@pytest.hookimpl(tryfirst=True)  # when xdist has told what was collected, the schedule begins
def pytest_collection_finish(session: pytest.Session) -> None:
    """Write it, in a worker."""
    if file := getattr(session.config, "workerinput", {}).get("alone"):
        from .side_by_side import write_down

        write_down(session.items, Path(file))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep what a worker has covered: one that takes long to end is killed, and what it would write then is lost."""
    if hasattr(session.config, "workerinput") and "coverage" in sys.modules:
        measured = sys.modules["coverage"].Coverage.current()
        if measured is not None:
            measured.save()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests out."""
    from .side_by_side import SideBySide

    return SideBySide(config, log, config.stash[ALONE])
