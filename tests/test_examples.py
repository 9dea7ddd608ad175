"""Each example runs as a reader would run it, on stand-in vendors, and prints what its page promises."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from anyio.from_thread import start_blocking_portal

from aigateway.callers import WeeklyKeys
from aigateway.secrets import Secret
from aigateway.testing.sandbox import Sandbox

from .own_address import own_address

EXAMPLES = Path(__file__).parent.parent / "examples"
ROOTS = ("ADMIN_SECRET", "JWT_SECRET", "SECRET_KEY")
SECRETS = (
    "DEEPSEEK_API_KEY",
    "MINIMAX_API_KEY",
    "MINIMAX_API_KEY_2",
    "OPENAI_API_KEY",
    "GROQ_API_KEY",
    "AI_GATEWAY_GATEWAY_API_KEY",
    "AI_GATEWAY_ADMIN_API_KEY",
    *ROOTS,
)


def clean(**more: str) -> dict[str, str]:
    """Give an environment without anything of ours."""
    ours = {name for name in os.environ if name.startswith("AI_GATEWAY_") or name.endswith("_API_KEY")}
    ours |= {*ROOTS, "REDIS_URL"}
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
    done = run(*words, cwd=tmp_path, **{name: f"made-up-for-this-test-0123456789-{name}" for name in SECRETS})
    report = json.loads(done.stdout)

    assert "" == done.stderr
    assert ["deepseek", "minimax", "openai", "groq", "local"] == list(report["providers"])
    assert [] == report["warnings"]


# -- weekly_keys ----------------------------------------------------------------------------------

ROOT_SECRET = "a-root-secret-of-this-test-alone-0123456789"


@contextmanager
def weekly_proxy(folder: Path) -> Iterator[tuple[str, int]]:
    """Run `aigateway serve` on its two variables alone; give its URL and process. Groq's own address is a stand-in."""
    with start_blocking_portal() as portal, ExitStack() as stack:
        vendor_key = "gsk_of_this_test_alone_0123456789"
        sandbox = stack.enter_context(portal.wrap_async_context_manager(Sandbox(key=vendor_key)))
        there = own_address("api.groq.com", sandbox.vendors["groq"].url, folder)
        here = stack.enter_context(portal.wrap_async_context_manager(there))
        environ = clean(GROQ_API_KEY=vendor_key, ADMIN_SECRET=ROOT_SECRET, **here)
        command = [sys.executable, "-m", "aigateway", "serve", "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder, env=environ) as server:
            try:
                assert server.stderr is not None
                found = re.search(r"at (http://\S+)/v1", server.stderr.readline())
                assert found is not None
                fetch(f"{found[1]}/health")
                yield found[1], server.pid
            finally:
                server.terminate()
                server.communicate(timeout=20)


def peak(pid: int) -> float:
    """Give the most memory a process ever had, in MB; nothing on systems that do not tell."""
    status = Path(f"/proc/{pid}/status")
    told = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(told[1]) / 1024 if told else 0.0


def refused(url: str, headers: dict[str, str]) -> int:
    with pytest.raises(HTTPError) as raised:
        urlopen(Request(url, headers=headers), timeout=20)
    with raised.value:
        return raised.value.code


def test_weekly_keys(tmp_path: Path) -> None:
    """Two variables make a Groq proxy; its page's client gets the key of the week and answers; nobody else does."""
    begun = time.monotonic()
    with weekly_proxy(tmp_path) as (url, pid):
        took = time.monotonic() - begun
        text = run(EXAMPLES / "weekly_keys/client.py", url, cwd=tmp_path, ADMIN_SECRET=ROOT_SECRET)
        last_week = WeeklyKeys(Secret(ROOT_SECRET)).key("weekly", time.time() - 7 * 86_400).reveal()
        wrong = refused(f"{url}/current-key", {"admin-secret": ROOT_SECRET[:-1]})
        stale = refused(f"{url}/v1/models", {"x-api-key": last_week})
        megabytes = peak(pid)

    assert (0, "") == (text.returncode, text.stderr)
    assert re.match(r"sk-\w{4}\.\.\. is valid for [1-7] day\(s\), until \d{4}-\d\d-\d\dT00:00:00\+00:00\n", text.stdout)
    for name in ("smart", "gpt-3.5-turbo"):
        assert f"{name} was answered by openai/gpt-oss-120b: Hello from the Groq stand-in." in text.stdout
    assert (403, 401) == (wrong, stale)
    assert took < 10
    assert megabytes < 100


# -- your_own_provider -----------------------------------------------------------------------------


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
