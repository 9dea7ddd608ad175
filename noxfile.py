"""Every check of this repository, one session each; `python3 dev.py test` runs them without nox's own environments."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from zipfile import ZipFile

import nox

nox.needs_version = ">=2026.2"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "layers", "tests", "plugins", "docs", "examples", "demo"]

ROOT = Path(__file__).parent
# With --no-venv everything is installed already (dev.py does that), for one Python.
INSTALLED = "--no-venv" in sys.argv
nox.options.envdir = ".nox/no-venv" if INSTALLED else ".nox/envs"
PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)  # from the classifiers
MATRIX = None if INSTALLED else PYTHONS
NEWEST = None if INSTALLED else PYTHONS[-1]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
EXTRAS = ["encryption", "jwt", "metrics", "otel", "server", "testing"]
# Many tests wait rather than compute: one worker more than there are cores. `-- -n 0` runs them one after the other.
PARALLEL = ("-n", str((os.cpu_count() or 1) + 1))
BRANCHES = 95  # percent of the core's that all tests together take
TYPED = ["src", *(str(path.relative_to(ROOT) / "src") for path in PLUGINS), "benchmarks", "tests/typing/api.py"]


def prepare(session: nox.Session) -> None:
    """Install the pinned requirements, then this checkout."""
    if not INSTALLED:
        session.install("--require-hashes", "-r", "requirements/dev.txt")
        checkout = [word for path in (ROOT, *PLUGINS) for word in ("-e", str(path))]
        session.install("--no-deps", "--no-build-isolation", *checkout)


@nox.session(python=NEWEST)
def lint(session: nox.Session) -> None:
    prepare(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=NEWEST)
def types(session: nox.Session) -> None:
    prepare(session)
    session.run("mypy", "--strict", *(path for path in TYPED if Path(path).exists()))


@nox.session(python=NEWEST)
def layers(session: nox.Session) -> None:
    prepare(session)
    session.run("lint-imports")


@nox.session(python=MATRIX)
def tests(session: nox.Session) -> None:
    """Run every test; `-- --cov` measures coverage, anything else goes to pytest."""
    prepare(session)
    words = [word for word in session.posargs if word != "--cov"]
    if "--cov" not in session.posargs:
        # The session `plugins` runs the plug-ins' own tests, against what is built of them.
        session.run("python", "-m", "pytest", *PARALLEL, *(words or (["tests"] if INSTALLED else [])))
        return
    session.run("coverage", "erase")
    # What is measured in microseconds is not measured beside this.
    session.run("coverage", "run", "-m", "pytest", *PARALLEL, "-m", "not alone", *words)
    session.run("coverage", "combine", "-q")
    session.run("coverage", "report", "--show-missing", "--skip-covered")
    found = Path(session.create_tmp()) / "coverage.json"
    session.run("coverage", "json", "-q", "-o", str(found), silent=True)
    branches = json.loads(found.read_text(encoding="utf-8"))["totals"]["percent_branches_covered"]
    session.log(f"branches of the core: {branches:.1f} % (aim: {BRANCHES} %)")
    if not words and branches < BRANCHES:
        session.error("too many branches of the core are not tested")


@nox.session(python=NEWEST)
def limits(session: nox.Session) -> None:
    """Ask with eight processes for over a minute against one limit in a real Redis."""
    prepare(session)
    session.run("python", "plugins/aigateway-redis/tests/storm.py", *session.posargs)


@nox.session(python=PYTHONS[0], venv_backend="uv")
def minimum(session: nox.Session) -> None:
    """Run the tests with the lowest versions the projects declare."""
    everything = [word for path in PLUGINS for word in ("-e", str(path))]
    wanted = PROJECT["dependency-groups"]["tests"]
    core = f".[{','.join(EXTRAS)}]"
    session.install("--resolution", "lowest-direct", "-e", core, *everything, *wanted)
    session.run("python", "-m", "pytest", *PARALLEL, *session.posargs)


@nox.session(python=NEWEST)
def plugins(session: nox.Session) -> None:
    """Build every wheel twice, install them, import each alone, test the plug-ins without the sources."""
    prepare(session)
    place = Path(session.create_tmp()).resolve() / "wheels"
    wheels = build_twice(session, place)
    python = clean_python(session, place, wheels)
    for wheel in wheels:
        session.run(python, "-P", "-c", f"import {wheel.name.partition('-')[0]}", external=True)
    if not INSTALLED:
        run_on_what_is_declared(session, place, wheels)
    for path in PLUGINS:
        shutil.copytree(path / "tests", place / "tests" / path.name)
    for name in ("conftest.py", "side_by_side.py"):
        shutil.copy(ROOT / "tests" / name, place / "tests")
    configured = ("-c", ROOT / "pyproject.toml", *PARALLEL)
    session.run(python, "-P", "-m", "pytest", *configured, place / "tests", external=True)


@nox.session(python=NEWEST)
def docs(session: nox.Session) -> None:
    """Build the pages; a broken link or anchor between them fails."""
    prepare(session)
    target = Path(session.create_tmp()).resolve() / "html"
    session.run("sphinx-build", "-W", "-q", "-b", "dirhtml", "docs", str(target), *session.posargs)
    session.log(f"the pages are in {target}")


@nox.session(python=NEWEST)
def examples(session: nox.Session) -> None:
    prepare(session)
    session.run("python", "-m", "pytest", "tests/test_examples.py", *session.posargs)


@nox.session(python=NEWEST)
def demo(session: nox.Session) -> None:
    prepare(session)
    session.run("python", "-m", "aigateway", "demo")


@nox.session(python=NEWEST)
def bench(session: nox.Session) -> None:
    prepare(session)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(python=NEWEST)
def survival(session: nox.Session) -> None:
    """Break vendors and leave as clients; `-- --quick` takes few of each."""
    prepare(session)
    session.run("python", "-m", "benchmarks.survival", *session.posargs)


@nox.session(python=NEWEST)
def faults(session: nox.Session) -> None:
    """Play every row of the fault wall at full scale and print the tables; `-- --row NAME --door served` for some."""
    prepare(session)
    session.run("python", "-m", "tests.faults", *session.posargs)


@nox.session(python=NEWEST)
def fuzz(session: nox.Session) -> None:
    """Ask 20,000 times what Schemathesis makes of our own description; `-- --cases 2000` for fewer."""
    prepare(session)
    session.run("python", "-m", "benchmarks.fuzz", *session.posargs)


@nox.session(python=NEWEST)
def soak(session: nox.Session) -> None:
    """Serve mixed traffic with faults for 20 minutes; `-- --minutes 2` is a look, `-- --crowd` holds silent streams."""
    prepare(session)
    session.run("python", "-m", "benchmarks.soak", *session.posargs)


@nox.session(python=NEWEST)
def build(session: nox.Session) -> None:
    """Build what is released: source and wheel of every distribution, into dist/."""
    prepare(session)
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    for path in (ROOT, *PLUGINS):
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(ROOT / "dist"), str(path))


@nox.session(python=NEWEST)
def lock(session: nox.Session) -> None:
    """Pin the requirement files anew; `-- --upgrade` takes newer versions."""
    if not INSTALLED:
        session.install("uv")
    form = ["--universal", "--python-version", PYTHONS[0], "--generate-hashes", "--no-annotate", "--no-header"]
    bare = ["--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    for name, parts in {
        "demo": ["--extra", "server", "--group", "build", "--group", "plugins"],
        "dev": [*(word for extra in EXTRAS for word in ("--extra", extra)), "--group", "dev"],
    }.items():
        file = f"requirements/{name}.txt"
        session.run("uv", "pip", "compile", "pyproject.toml", *form, *bare, *parts, "-o", file, *session.posargs)


# -- what the plugins session is made of ------------------------------------------------------


def build_twice(session: nox.Session, place: Path) -> list[Path]:
    """Build the wheels twice with the pinned builder; they must be equal, and hold no `.pth` file."""
    shutil.rmtree(place, ignore_errors=True)
    for turn in ("first", "second"):
        for path in (ROOT, *PLUGINS):
            target = str(place / turn)
            session.run("python", "-m", "build", "--wheel", "--no-isolation", "-o", target, str(path), silent=True)
    wheels = sorted((place / "first").glob("*.whl"))
    for wheel in wheels:
        again = place / "second" / wheel.name
        if hashlib.sha256(wheel.read_bytes()).digest() != hashlib.sha256(again.read_bytes()).digest():
            session.error(f"{wheel.name} differs from build to build")
        if any(name.endswith(".pth") for name in ZipFile(wheel).namelist()):
            session.error(f"{wheel.name} holds a .pth file")
    return wheels


def run_on_what_is_declared(session: nox.Session, place: Path, wheels: list[Path]) -> None:
    """Run the demo in an environment that holds the wheels and the dependencies they declare, nothing else."""
    folder = place / "declared"
    session.run("uv", "venv", "-q", str(folder))
    session.run("uv", "pip", "install", "-q", "--python", str(folder), *map(str, wheels))
    session.run(str(python_in(folder)), "-m", "aigateway", "demo", external=True, silent=True)


def python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def clean_python(session: nox.Session, place: Path, wheels: list[Path]) -> str:
    """Make an environment that has the wheels, and not the checkout."""
    folder = place / "venv"
    session.run("python", "-m", "venv", "--without-pip", str(folder), silent=True)
    python = python_in(folder)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    theirs = str(session.run("python", "-c", where, silent=True)).strip()
    ours = str(session.run(str(python), "-c", where, silent=True, external=True)).strip()
    # Third-party packages are borrowed; site does not follow the borrowed folder's own links to the checkout.
    (Path(ours) / "borrowed.pth").write_text(theirs + "\n", encoding="utf-8")
    session.run("uv", "pip", "install", "-q", "--no-deps", "--offline", "--python", str(python), *map(str, wheels))
    return str(python)
