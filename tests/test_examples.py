"""Each example runs as a reader would run it, on stand-in vendors, and prints what its page promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SECRETS = (
    "DEEPSEEK_API_KEY",
    "MINIMAX_API_KEY",
    "MINIMAX_API_KEY_2",
    "OPENAI_API_KEY",
    "GROQ_API_KEY",
    "AI_GATEWAY_GATEWAY_API_KEY",
    "AI_GATEWAY_ADMIN_API_KEY",
)


def clean(**more: str) -> dict[str, str]:
    """Give an environment without anything of ours."""
    ours = {name for name in os.environ if name.startswith("AI_GATEWAY_") or name.endswith("_API_KEY")}
    return {**{name: value for name, value in os.environ.items() if name not in ours}, **more}


def run(*words: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=clean(**environ), timeout=60)


def printed(name: str, tmp_path: Path, *words: str) -> str:
    done = run(EXAMPLES / name, *(words or ("--sandbox",)), cwd=tmp_path)

    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


@contextmanager
def served(name: str, tmp_path: Path) -> Iterator[str]:
    """Start an example that serves; give its base URL."""
    command = [sys.executable, str(EXAMPLES / name), "--sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=clean()) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
            server.wait(20)


def fetch(url: str, body: object = None) -> str:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"content-type": "application/json"}), timeout=20) as answer:
        return str(answer.read().decode())


def test_in_process(tmp_path: Path) -> None:
    """It prints the answer, the tokens, and why it went where it went."""
    text = printed("in_process.py", tmp_path)

    assert text.startswith("Hello from the DeepSeek stand-in.")
    assert "tokens: " in text
    assert "deepseek/deepseek-flash answered" in text


def test_streaming(tmp_path: Path) -> None:
    """It prints the stream, and what is known after it."""
    text = printed("streaming.py", tmp_path)

    assert text.startswith("Hello from the DeepSeek stand-in.")
    assert "complete, " in text
    assert "answered by deepseek/deepseek-flash" in text


def test_blocking(tmp_path: Path) -> None:
    """It gives the same without an event loop, whole and streamed."""
    assert 2 == printed("blocking.py", tmp_path).count("Hello from the DeepSeek stand-in.")


def test_failover(tmp_path: Path) -> None:
    """Before the first content the next vendor answers; after it the reader is told what had arrived."""
    text = printed("failover.py", tmp_path)

    assert "Hello from the OpenAI stand-in." in text
    assert "deepseek/deepseek-flash: connect" in text
    assert "interrupted (stream_interrupted); what had arrived: 'Hello" in text


@pytest.mark.parametrize("name", ["in_process.py", "streaming.py", "blocking.py", "failover.py"])
def test_nothing_is_chosen_silently(name: str, tmp_path: Path) -> None:
    """Without a configuration and without --sandbox an example says what it needs."""
    done = run(EXAMPLES / name, cwd=tmp_path)

    assert 2 == done.returncode
    assert "--sandbox" in done.stderr


def test_a_configuration_file_is_used(tmp_path: Path) -> None:
    """An example takes the file it is given."""
    config = tmp_path / "own.toml"
    config.write_text('[providers.echo]\n[routes.smart]\ntargets = ["echo/echo"]\n')

    assert printed("in_process.py", tmp_path, str(config)).startswith("Say hi\n")


@pytest.mark.parametrize("name", ["embed_in_starlette.py", "embed_in_fastapi.py"])
def test_embedding(name: str, tmp_path: Path) -> None:
    """The application answers by itself, and an OpenAI client finds the gateway under its prefix."""
    if find_spec("fastapi") is None:
        pytest.skip("fastapi is not installed")
    with served(name, tmp_path) as base_url:
        body = {"model": "smart", "messages": [{"role": "user", "content": "hi"}]}
        reply = json.loads(fetch(f"{base_url}/chat/completions", body))
        greeting = fetch(base_url.removesuffix("/ai/v1") + "/greeting")

    assert "You said: hi" in reply["choices"][0]["message"]["content"]
    assert "You said: Greet a visitor" in greeting


def test_the_sample_configuration_can_be_built(tmp_path: Path) -> None:
    """`aigateway check` takes the sample as it is, with its secrets set."""
    words = ("-m", "aigateway", "check", "--json", "--config", EXAMPLES / "gateway.toml")
    done = run(*words, cwd=tmp_path, **{name: f"secret-{name}" for name in SECRETS})
    report = json.loads(done.stdout)

    assert "" == done.stderr
    assert ["deepseek", "minimax", "openai", "groq", "local"] == list(report["providers"])
    assert [] == report["warnings"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Install the example plug-in into a folder of its own."""
    if find_spec("uv") is None or find_spec("hatchling") is None:
        pytest.skip("uv and hatchling are needed to install it")
    folder = tmp_path_factory.mktemp("installed")
    words = ["pip", "install", "-q", "--offline", "--no-deps", "--no-build-isolation", "--python", sys.executable]
    subprocess.run(
        [sys.executable, "-m", "uv", *words, "--target", str(folder), str(EXAMPLES / "your_own_provider")], check=True
    )
    return str(folder)


def test_the_plugin_is_short() -> None:
    """An OpenAI-compatible provider is at most 30 lines of Python."""
    module = EXAMPLES / "your_own_provider/src/aigateway_yourvendor/__init__.py"

    assert len(module.read_text(encoding="utf-8").splitlines()) <= 30


def test_the_plugin_conforms(installed: str, tmp_path: Path) -> None:
    """Its own tests, which are the conformance suite, pass."""
    tests = EXAMPLES / "your_own_provider/tests"
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", tests, tests)
    done = run(*words, cwd=tmp_path, PYTHONPATH=installed)

    assert 0 == done.returncode, done.stdout
    assert " passed" in done.stdout


def test_the_plugin_is_found_and_answers(installed: str, tmp_path: Path) -> None:
    """It is listed, and a gateway configured with it sends its requests."""
    listing = run("-m", "aigateway", "plugins", "--json", cwd=tmp_path, PYTHONPATH=installed)
    states = {row["name"]: row["state"] for row in json.loads(listing.stdout)}
    config = tmp_path / "own.toml"
    config.write_text(
        '[providers.yourvendor]\nbase_url = "http://127.0.0.1:9"\nkeys = [{ secret = "env:YOURVENDOR_API_KEY" }]\n'
        '[routes.smart]\ntargets = ["yourvendor/your-model"]\n'
    )
    words = ("-m", "aigateway", "ask", "-c", config, "smart", "hi")
    asked = run(*words, cwd=tmp_path, PYTHONPATH=installed, YOURVENDOR_API_KEY="a-secret")

    assert "loaded" == states["yourvendor"]
    assert 4 == asked.returncode
    assert "yourvendor/your-model: connect" in asked.stderr
