"""How far a simulation is: for people at a terminal, and for nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aigateway.cli import _progress as module
from aigateway.cli._progress import CLEAR, Progress

SCENARIO = """
requests = 400
[arrivals]
rate = 100
[vendors.deepseek]
"""


class Terminal:
    """A stream that may be a terminal."""

    def __init__(self, is_one: bool) -> None:
        self.text = ""
        self._is_one = is_one

    def isatty(self) -> bool:
        return self._is_one

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        """Nothing waits."""


@pytest.mark.parametrize(
    ("is_one", "shown"), [(True, f"{CLEAR}1,200 of 5,000 asked{CLEAR}1,400 of 5,000 asked{CLEAR}"), (False, "")]
)
def test_one_line_is_written_over(monkeypatch: pytest.MonkeyPatch, is_one: bool, shown: str) -> None:
    """Now and then, and cleared at the end; nothing at all where stderr is no terminal."""
    stream, now = Terminal(is_one), [0.0]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with Progress("asked", 5000) as tell:
        tell(1000)
        now[0] = 1.0
        tell(1200)
        tell(1300)
        now[0] = 2.0
        tell(1400)

    assert shown == stream.text


def test_what_is_soon_over_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was shown, so nothing is cleared."""
    stream = Terminal(True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module.time, "monotonic", lambda: 0.0)
    with Progress("asked") as tell:
        tell(1)

    assert "" == stream.text


@pytest.mark.skipif(os.name != "posix", reason="terminals are POSIX's")
def test_a_simulation_at_a_terminal(tmp_path: Path) -> None:
    """The report is on stdout and untouched; the terminal sees how far it is, and keeps nothing of it."""
    import pty

    (tmp_path / "s.toml").write_text(SCENARIO)
    code = "import aigateway.cli._progress as p, aigateway.cli as c; p.EVERY = 0.0; c.run(['simulate', 's.toml'])"
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, timeout=120, check=True
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux' way to say that it is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    piped = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=120, check=True)

    assert b"400 of 400 requests simulated" in seen
    assert seen.endswith(CLEAR.encode())
    assert piped.stdout == done.stdout
    assert (b"", True) == (piped.stderr, b"simulated" not in done.stdout.replace(b"simulated vendors", b""))
