"""Every mistake is one line that says what to do, and the exit code of its kind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

Run = Callable[..., Any]
Write = Callable[[str], str]

GROQ = '[providers.groq]\nkeys = [{ secret = "env:K" }]\n'
KEY = {"K": "gsk_canary123"}
# Configurations that are wrong, and what the one line about each must say.
WRONG_FILES = {
    "invalid TOML": ("[providers.groq\n", ["gateway.toml", "line 1", "column"]),
    "unknown table": ("[provider.groq]\n", ["line 1", "provider is not a setting", "'providers'"]),
    "unknown setting": (GROQ + "\n[server]\nhots = 'x'\n", ["line 5", "server.hots", "Did you mean 'host'?"]),
    "unknown setting of a provider": (GROQ + 'base_uri = "x"\n', ["line 3", "base_uri", "Did you mean 'base_url'?"]),
    "wrong type": (GROQ + "[timeouts]\ntotal = 'long'\n", ["line 4", "timeouts.total"]),
    "not positive": (GROQ + "[timeouts]\nsilence = 0\n", ["line 4", "timeouts.silence"]),
    "unknown provider in a route": (
        GROQ + '[routes.r]\ntargets = ["grok/x"]\n',
        ["line 4", "'grok/x'", "Did you mean 'groq'?"],
    ),
    "unknown model in a route": (GROQ + '[routes.r]\ntargets = ["gpt-99"]\n', ["line 4", "'gpt-99'", "provider/model"]),
    "unknown fallback": ('fallback = "smrt"\n' + GROQ, ["line 1", "'smrt'"]),
    "unknown plug-in": ("[providers.qroq]\nkeys = []\n", ["qroq"]),
    "unset variable": ('[providers.groq]\nkeys = [{ secret = "env:NOT_SET" }]\n', ["line 2", "NOT_SET", "not set"]),
    "no key": ("[providers.groq]\n", ["line 1", "no key", "env:GROQ_API_KEY"]),
    "key in the file": ('[providers.groq]\nkeys = [{ secret = "gsk_canary123" }]\n', ["line 2", "env:NAME"]),
    "default model of nobody": ('default_model = "nope"\n' + GROQ, ["line 1", "'nope'"]),
    "address without a scheme": (GROQ + 'base_url = "groq.com"\n', ["line 3", "https://"]),
    "one key for two clients": (
        GROQ + '[[callers.keys]]\nname = "a"\nsecret = "env:K"\n[[callers.keys]]\nname = "b"\nsecret = "env:K"\n',
        ["callers.keys"],
    ),
    "unknown guard": (GROQ + '[[guards]]\nuse = "rate_limt"\n', ["rate_limt"]),
}


def one_line(done: Any, code: int) -> str:
    """Check the form of a failure: the code, nothing on stdout, one line on stderr, no traceback, no key."""
    assert code == done.returncode, done.stderr
    assert "" == done.stdout
    assert 1 == len(done.stderr.splitlines()), done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr
    return str(done.stderr)


@pytest.mark.parametrize("command", [["ask", "smart", "hi"], ["serve", "--port", "0"]], ids=lambda c: c[0])
def test_no_vendor_key(run: Run, command: list[str]) -> None:
    """Without any vendor key both ways on are named: the variables, and the sandbox."""
    line = one_line(run(*command), 3)

    assert "GROQ_API_KEY" in line
    assert "--sandbox" in line


def test_no_vendor_key_to_check(here: Run) -> None:
    """`check` names only ways on that it has itself: it knows no --sandbox."""
    line = one_line(here("check"), 3)

    assert "GROQ_API_KEY" in line
    assert "run the same command with --sandbox" not in line


@pytest.mark.parametrize("case", WRONG_FILES)
def test_wrong_file(here: Run, write: Write, case: str) -> None:
    """A wrong configuration is told with its line and the nearest right thing."""
    text, wanted = WRONG_FILES[case]
    line = one_line(here("check", "--config", write(text), env=KEY), 3)

    assert [] == [part for part in wanted if part not in line]


def test_missing_file(here: Run) -> None:
    """A configuration that is not there is named."""
    line = one_line(here("ask", "--config", "nowhere.toml", "smart", "hi"), 3)

    assert "nowhere.toml" in line


def test_a_folder_for_a_file(here: Run, tmp_path: Path) -> None:
    """A folder is no configuration."""
    assert "cannot be read" in one_line(here("check", "--config", str(tmp_path)), 3)


def test_not_text(here: Run, tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are told with their place."""
    (tmp_path / "gateway.toml").write_bytes(b"# \xff\n")

    assert "UTF-8" in one_line(here("check", "--config", str(tmp_path / "gateway.toml")), 3)


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("AI_GATEWAY_DEFUALT_MODEL", "x", "Did you mean AI_GATEWAY_DEFAULT_MODEL?"),
        ("AI_GATEWAY_PORT", "eighty", "AI_GATEWAY_PORT must be a port number"),
        ("AI_GATEWAY_DEBUG", "perhaps", "true or false"),
        ("AI_GATEWAY_PORT", "70000", "65535"),
    ],
)
def test_wrong_variables(run: Run, variable: str, value: str, wanted: str) -> None:
    """An AI_GATEWAY_ variable nobody reads, or with a value that is none, stops the start."""
    line = one_line(run("serve", "--port", "0", env={"GROQ_API_KEY": "gsk_canary123", variable: value}), 3)

    assert wanted in line


def test_unknown_model(here: Run, write: Write) -> None:
    """With a configuration file an unknown model is refused with the nearest names; nothing is sent."""
    line = one_line(here("ask", "--config", write(GROQ), "gpt-oss-120", "hi", env=KEY), 2)

    assert "openai/gpt-oss-120b" in line


def test_empty_prompt(here: Run) -> None:
    """An empty prompt is a mistake, not a request."""
    assert "Say what to ask" in one_line(here("ask", "smart", " ", "--sandbox"), 2)


def test_no_command(here: Run) -> None:
    """A command there is not is a usage error."""
    done = here("serv")

    assert 2 == done.returncode
    assert "Traceback" not in done.stderr


def test_port_taken(run: Run) -> None:
    """A port that is taken is one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = one_line(run("serve", "--sandbox", "--port", str(port)), 1)

    assert f"127.0.0.1:{port}" in line
    assert "--port" in line


def test_sandbox_port_taken(here: Run) -> None:
    """The same for the sandbox's own ports."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = one_line(here("sandbox", "--port", str(port)), 1)

    assert str(port) in line
    assert "Address already in use" in line


def test_sandbox_port_too_high(here: Run) -> None:
    """Five ports in a row must fit below 65,536."""
    line = one_line(here("sandbox", "--port", "65533"), 2)

    assert "65533" in line


def test_dotenv_that_is_no_text(here: Run, tmp_path: Path) -> None:
    """A .env that is no UTF-8 is a configuration error that names the file."""
    (tmp_path / ".env").write_bytes(b"GROQ_API_KEY=\xff\xfe\n")

    assert ".env" in one_line(here("check"), 3)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_open_to_the_world_without_keys(run: Run, host: str) -> None:
    """Without client keys a server listens on this machine only."""
    line = one_line(run("serve", "--sandbox", "--host", host, "--port", "0"), 3)

    assert "AI_GATEWAY_GATEWAY_API_KEY" in line


def test_the_way_on_works(start: Callable[..., Any]) -> None:
    """What the refusal above says to set is what lets the same command listen to the world, with a key."""
    key = "canary-client-key"
    server = start("serve", "--sandbox", "--host", "0.0.0.0", "--port", "0", env={"AI_GATEWAY_GATEWAY_API_KEY": key})
    port = server.wait_for(r"at http://\S+:(\d+)/v1")[1]
    with pytest.raises(HTTPError) as caught:
        urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5)
    caught.value.close()

    assert 401 == caught.value.code
    assert key not in server.output


@pytest.mark.parametrize("fault", ["deepseek", "deepsek=down", "deepseek=dwon", "deepseek=error:99"])
def test_wrong_fault(here: Run, fault: str) -> None:
    """A fault or a vendor there is not is a usage error that names the nearest."""
    one_line(here("sandbox", "--fault", fault), 2)


def test_a_folder_that_is_not_there(here: Run, tmp_path: Path) -> None:
    """A configuration that cannot be written is one line and names the path."""
    target = tmp_path / "no" / "such" / "folder.toml"
    done = here("sandbox", "--write-config", str(target))

    assert 1 == done.returncode
    assert str(target) in done.stderr
    assert 1 == len(done.stderr.splitlines())


def test_wrong_vendor_keys(run: Run, start: Callable[..., Any], tmp_path: Path) -> None:
    """When every vendor refuses its key, `ask` exits 4 and says which failed how."""
    file = tmp_path / "stand-ins.toml"
    faults = [word for vendor in ("deepseek", "minimax", "openai", "groq") for word in ("--fault", f"{vendor}=auth")]
    start("sandbox", *faults, "--write-config", str(file)).wait_for("Wrote ")
    done = run("ask", "--config", str(file), "smart", "hi")

    assert 4 == done.returncode
    assert done.stderr.startswith("error: no target answered")
    assert 4 == done.stderr.count(" failed after ")
    assert "Traceback" not in done.stderr
    assert "sandbox-key" not in done.stderr


def test_a_traceback_for_those_who_ask(run: Run) -> None:
    """`--debug` shows it, before the command and after it; nobody else sees one."""
    before = run("--debug", "ask", "smart", "hi")
    after = run("ask", "smart", "hi", "--debug")

    assert 3 == before.returncode
    assert "Traceback" in before.stderr
    assert 3 == after.returncode
    assert "Traceback" in after.stderr


def test_closed_output(tmp_path: Path) -> None:
    """A reader that goes away (`| head`) is no traceback."""
    command = "python -m aigateway models 2>err | head -n 1; cat err"
    folder = os.path.dirname(sys.executable)
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert "Traceback" not in done.stdout
