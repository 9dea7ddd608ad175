"""Importing does nothing: no server, no command line, no HTTP client, no plug-in, and little time."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

HEAVY = ["httpx2", "aiohttp", "starlette", "uvicorn", "typer", "tenacity", "openai", "trio", "dotenv", "h11", "redis"]
PLUGINS = [
    "aigateway_deepseek",
    "aigateway_echo",
    "aigateway_groq",
    "aigateway_minimax",
    "aigateway_openai",
    "aigateway_redis",
]


def loaded_by(statement: str, names: list[str]) -> list[str]:
    code = f"{statement}\nimport sys, json\nprint(json.dumps([m for m in {names!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def seconds(statement: str) -> float:
    """Give the CPU seconds of the best of several fresh interpreters: an import waits for nothing but the machine."""
    best = 60.0
    for _ in range(7):
        start = spent()
        subprocess.run([sys.executable, "-c", statement], check=True)
        best = min(best, spent() - start)
    return best


def spent() -> float:
    """Give what all processes that ended here have had of the CPU."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("statement", ["import aigateway", "from aigateway import Gateway"])
def test_importing_loads_nothing_heavy(statement: str) -> None:
    """No server, CLI, HTTP client or plug-in is imported with the package or with Gateway."""
    assert [] == loaded_by(statement, HEAVY + PLUGINS)


def test_importing_the_package_alone_loads_no_pydantic() -> None:
    """`import aigateway` is a name and a promise."""
    assert [] == loaded_by("import aigateway", ["pydantic", "pydantic_core", "anyio", "pluggy"])


def test_importing_reads_no_environment_and_opens_no_socket() -> None:
    """An audit hook sees neither a socket nor a read of the configuration."""
    code = """
import sys
seen = []
sys.addaudithook(lambda event, args: seen.append((event, str(args[:1]))) if event.startswith('socket.') or
                 (event == 'open' and ('aigateway.toml' in str(args[0]) or '.env' in str(args[0]))) else None)
from aigateway import Gateway
import logging
assert not logging.getLogger().handlers and not logging.getLogger("aigateway").handlers
print(seen)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


@pytest.mark.alone("counts milliseconds of CPU")
def test_import_is_fast() -> None:
    """`import aigateway` <= 0.05 s and `from aigateway import Gateway` <= 0.30 s beyond the interpreter."""
    nothing = seconds("pass")

    assert seconds("import aigateway") - nothing <= 0.05
    assert seconds("from aigateway import Gateway") - nothing <= 0.30
