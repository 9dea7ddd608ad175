#!/usr/bin/env python3
"""Set up and run this checkout with nothing but Python: `python3 dev.py demo`, `python3 dev.py test`.

demo        answer from local stand-in vendors; no key, nothing leaves this machine
test        every check: lint, types, layers, wheels, documentation, examples, demo, tests
run ARGS    any aigateway command, such as: run serve --sandbox
nox ARGS    any nox session, such as: nox -s bench

The first use makes `.venv` beside this file and installs the pinned, hashed requirements into it.
A stamp remembers what was installed, so the second use starts at once.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
# The tests come last, so that their closing line is the last of pytest's lines; the examples are among them.
SESSIONS = ("lint", "types", "layers", "plugins", "docs", "demo", "tests")
WINDOWS = os.name == "nt"


class DevError(Exception):
    """What stops us, in one line that says what to do."""


def main(arguments: list[str]) -> int:
    """Do what the first word says; give the exit code."""
    command, rest = (arguments or ["--help"])[0], arguments[1:]
    commands = {
        "demo": ("demo", ["-m", "aigateway", "demo", *rest]),
        "run": ("demo", ["-m", "aigateway", *rest]),
        "test": ("dev", ["-m", "nox", "--no-venv", "-s", *SESSIONS, *rest]),
        "nox": ("dev", ["-m", "nox", *rest]),
    }
    if command not in commands:
        print(__doc__, file=sys.stdout if command in {"-h", "--help", "help"} else sys.stderr)
        return 0 if command in {"-h", "--help", "help"} else 2
    try:
        purpose, words = commands[command]
        prepare(purpose)
        if command in {"test", "nox"}:
            os.chdir(ROOT)
        return run(words)
    except DevError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def prepare(purpose: str) -> None:
    """Bring `.venv` to what `purpose` needs, unless its stamp says that it is there already."""
    if sys.version_info < (3, 11):  # noqa: UP036  # whoever runs this may have an older one
        raise DevError(
            f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}. Run it as: python3.11 dev.py"
        )
    if PYTHON.exists() and (is_ready(purpose) or (purpose == "demo" and is_ready("dev"))):
        return
    make_venv()
    say(f"Installing requirements/{purpose}.txt into .venv (the first time takes a minute) ...")
    pip("--require-hashes", "-r", str(ROOT / "requirements" / f"{purpose}.txt"))
    say("Installing aigateway and its plug-ins from this checkout ...")
    projects = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
    pip("--no-deps", "--no-build-isolation", *(word for path in projects for word in ("-e", str(path))))
    stamp(purpose).write_text(fingerprint(purpose), encoding="utf-8")


def make_venv() -> None:
    """Make `.venv`, or mend one that was left without pip."""
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", "import pip"], capture_output=True).returncode == 0:
        return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise DevError("Python's venv module is not complete here. Install it (Debian: apt install python3-venv).")
    say("Making .venv ...")
    check([sys.executable, "-m", "venv", "--clear", str(VENV)])


def pip(*words: str) -> None:
    """Install something into `.venv`."""
    check([str(PYTHON), "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check", *words])


def check(command: list[str]) -> None:
    """Run a step of the preparation; its own output goes to stderr."""
    if subprocess.run(command, stdout=sys.stderr, cwd=ROOT).returncode:
        raise DevError("the step above failed; .venv is not ready. Mend the cause and run this again.")


def stamp(purpose: str) -> Path:
    """Name the file that remembers what was installed."""
    return VENV / f"aigateway-{purpose}.stamp"


def is_ready(purpose: str) -> bool:
    """Tell whether what is installed is what the files ask for."""
    found = stamp(purpose)
    return found.is_file() and found.read_text(encoding="utf-8") == fingerprint(purpose)


def fingerprint(purpose: str) -> str:
    """Summarise what an installation depends on: where we are, which Python, the files that say what to install."""
    digest = hashlib.sha256(f"{ROOT} {sys.version}".encode())
    for path in (
        ROOT / "requirements" / f"{purpose}.txt",
        ROOT / "pyproject.toml",
        *sorted(ROOT.glob("plugins/*/pyproject.toml")),
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run(words: list[str]) -> int:
    """Become the command; where that cannot be done, wait for it."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    environ = {**os.environ, "VIRTUAL_ENV": str(VENV), "PATH": path}
    if not WINDOWS:
        sys.stdout.flush()
        os.execve(PYTHON, [str(PYTHON), *words], environ)
    return subprocess.run([PYTHON, *words], env=environ).returncode


def say(words: str) -> None:
    """Report progress."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
