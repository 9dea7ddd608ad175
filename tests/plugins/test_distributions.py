"""Real distributions on the path of a fresh interpreter: what the operator sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """
from aigateway.plugins import ProviderRecord, hookimpl
@hookimpl
def aigateway_providers():
    yield ProviderRecord("good", lambda options: None, needs_key=False)
"""


def install(folder: Path, name: str, code: str) -> None:
    """Write a package and the metadata pip would write."""
    (folder / f"aigateway_{name}").mkdir()
    (folder / f"aigateway_{name}" / "__init__.py").write_text(code, encoding="utf-8")
    info = folder / f"aigateway_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: aigateway-{name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[aigateway]\n{name} = aigateway_{name}\n", encoding="utf-8")


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the folder on its path and nothing of ours in its environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AI_GATEWAY")}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**clean, "PYTHONPATH": str(folder), **environ},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two distributions, one of which leaves the interpreter when it is imported."""
    install(tmp_path, "good", GOOD)
    install(tmp_path, "bad", "raise SystemExit('I do not like it here')")
    return tmp_path


def test_the_command_names_the_broken_one_and_succeeds(folder: Path) -> None:
    """`aigateway plugins`: exit 0, the reason beside the name, the others loaded."""
    done = run(folder, "-m", "aigateway", "plugins")
    lines = done.stdout.splitlines()

    assert (0, "") == (done.returncode, done.stderr)
    assert any(line.startswith("good ") and line.endswith("loaded") for line in lines)
    assert any(line.startswith("bad ") and "broken" in line for line in lines)
    assert "SystemExit: I do not like it here" in done.stdout


def test_the_command_speaks_json(folder: Path) -> None:
    """The same as data."""
    rows = {row["name"]: row for row in json.loads(run(folder, "-m", "aigateway", "plugins", "--json").stdout)}

    assert ("loaded", "aigateway-good", "1.0", "provider", "") == tuple(
        rows["good"][field] for field in ("state", "distribution", "version", "kind", "reason")
    )
    assert "broken" == rows["bad"]["state"]


def test_nothing_is_imported_until_named(folder: Path) -> None:
    """Building a registry and listing names imports no plug-in; asking for one imports one."""
    code = """
import sys
from aigateway.plugins import Registry
registry = Registry()
names = registry.names()
before = [m for m in sys.modules if m.startswith("aigateway_")]
registry.provider("good")
print(names, before, [m for m in sys.modules if m.startswith("aigateway_")], sep="|")
"""
    done = run(folder, "-W", "error", "-c", code)
    names, before, after = done.stdout.strip().split("|")

    assert "'good'" in names
    assert "'bad'" in names
    assert ("[]", "['aigateway_good']") == (before, after)


def test_an_allow_list_from_the_environment(folder: Path) -> None:
    """`AI_GATEWAY_PLUGINS` names what may load."""
    code = "from aigateway.config import load; from aigateway import Gateway; print(Gateway(load()).registry.names())"
    done = run(folder, "-c", code, AI_GATEWAY_PLUGINS="good")

    assert "['good', 'openai-compatible']" == done.stdout.strip()


def test_a_broken_plug_in_nobody_named_does_not_matter(folder: Path) -> None:
    """A gateway that does not use it starts."""
    code = """
from aigateway import Gateway
print(list(Gateway.from_config({"providers": {"good": {"type": "openai-compatible", "base_url": "http://x"}}}).parts.providers))
"""

    assert "['good']" == run(folder, "-W", "error", "-c", code).stdout.strip()
