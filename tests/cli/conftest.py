"""Commands as people run them: real processes, a clean environment, an empty folder."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from aigateway.cli import run as command_line

START = 60.0  # seconds a process may take to come up on a busy machine

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass
class Running:
    """A command that goes on until it is stopped."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until a pattern shows in the output."""
        end = time.monotonic() + START
        while time.monotonic() < end:
            found = re.search(pattern, self.output)
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} did not show in: {self.output}")

    def stop(self, number: int = signal.SIGTERM, *, within: float = START) -> int:
        """Send a signal; give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(within)


Start = Callable[..., Running]


def environment(folder: Path, extra: Mapping[str, str] | None) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), **(extra or {})}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command to its end."""

    def run(*arguments: str, env: Mapping[str, str] | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "aigateway", *arguments],
            cwd=tmp_path,
            env=environment(tmp_path, env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=2 * START,
            check=False,
        )

    return run


@dataclass
class Done:
    """How a command ended that ran in this process."""

    code: int
    out: str
    err: str


Invoke = Callable[..., Done]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Invoke]:
    """Run a command in this process: where no process is what is tested, that is quicker."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Done:
        wanted = {**environment(tmp_path, env), "PATH": before["PATH"]}
        os.environ.clear()
        os.environ.update(wanted)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = command_line(arguments)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    yield call
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def here(invoke: Invoke) -> Run:
    """Do as `run`, in this process: for what is said and done, not for `serve` and what a process is."""

    def run(*arguments: str, env: Mapping[str, str] | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = invoke(*arguments, env=env, stdin=stdin)
        return subprocess.CompletedProcess(arguments, done.code, done.out, done.err)

    return run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a command; it is killed after the test, whatever happens."""
    running: list[Running] = []

    def begin(*arguments: str, env: Mapping[str, str] | None = None) -> Running:
        log = tmp_path / f"log-{len(running)}"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "aigateway", *arguments],
                cwd=tmp_path,
                env=environment(tmp_path, env),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )
        running.append(Running(process, log))
        return running[-1]

    yield begin
    for command in running:
        command.process.kill()
        command.process.wait()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    """Write a configuration; give its path."""

    def put(text: str) -> str:
        path = tmp_path / "gateway.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return put
