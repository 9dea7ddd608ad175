"""What each command does and prints when all is well: data on stdout, progress on stderr."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

Run = Callable[..., Any]
Start = Callable[..., Any]

VENDORS = ("deepseek", "minimax", "openai", "groq")
EXAMPLE = Path(__file__).parents[2] / "examples/your_own_provider"
ECHO = '[providers.echo]\n[routes.smart]\ntargets = ["echo/echo"]\n'


def put_fault(control: str, vendor: str, fault: str) -> None:
    with urlopen(Request(f"{control}/faults/{vendor}", fault.encode(), method="PUT"), timeout=5):
        pass


def test_ask_on_the_sandbox(run: Run) -> None:
    """`ask --sandbox` answers without a key; the answer alone is on stdout, who answered on stderr."""
    done = run("ask", "smart", "hi", "--sandbox")

    assert 0 == done.returncode
    assert "Hello from the DeepSeek stand-in. You said: hi\n" == done.stdout
    assert "deepseek/deepseek-flash answered in" in done.stderr


def test_a_sandbox_of_what_is_installed(here: Run) -> None:
    """Without the plug-ins of all four vendors `--sandbox` makes do with the others; `demo` says what to install."""
    some = {"AI_GATEWAY_PLUGINS": "groq,openai"}
    asked = here("ask", "smart", "hi", "--sandbox", env=some)
    shown = here("demo", env=some)
    nothing = here("ask", "smart", "hi", "--sandbox", env={"AI_GATEWAY_PLUGINS": "echo"})

    assert "Hello from the OpenAI stand-in. You said: hi\n" == asked.stdout
    assert "in this order: openai/gpt-5.4-mini, groq/openai/gpt-oss-120b." in asked.stderr
    assert (3, "") == (shown.returncode, shown.stdout)
    assert "Install aigateway-deepseek, aigateway-minimax, or try `aigateway serve --sandbox`." in shown.stderr
    assert (3, "") == (nothing.returncode, nothing.stdout)
    assert "no vendor's plug-in is installed. Install one: aigateway-deepseek," in nothing.stderr


def test_ask_reads_standard_input(run: Run) -> None:
    """A prompt of `-` is read from standard input."""
    done = run("ask", "groq/openai/gpt-oss-120b", "-", "--sandbox", stdin="from a pipe")

    assert "Hello from the Groq stand-in. You said: from a pipe\n" == done.stdout


def test_ask_json(here: Run) -> None:
    """`--json` prints the reply in OpenAI's shape."""
    done = here("ask", "smart", "hi", "--sandbox", "--json", "--system", "Be brief.")
    reply = json.loads(done.stdout)

    assert 0 == done.returncode
    assert "Hello from the DeepSeek stand-in. You said: hi" == reply["choices"][0]["message"]["content"]


def test_sandbox_in_one_process_and_ask_in_another(run: Run, start: Start, tmp_path: Any) -> None:
    """`sandbox --write-config` writes what `ask --config` needs, and a vendor killed in mid-run does not stop it."""
    file = tmp_path / "stand-ins.toml"
    file.write_text("# The local stand-in vendors of `aigateway sandbox`, from before")
    file.chmod(0o644)
    sandbox = start("sandbox", "--write-config", str(file))
    control = sandbox.wait_for(r" -X PUT (http://[^/]+)/faults[\s\S]*Wrote ")[1]
    first = run("ask", "--config", str(file), "smart", "hi")
    put_fault(control, "deepseek", "down")
    second = run("ask", "--config", str(file), "smart", "hi")
    put_fault(control, "minimax", "error:500")
    third = run("ask", "--config", str(file), "smart", "hi")
    checked = run("check", "--config", str(file))

    assert "Hello from the DeepSeek stand-in. You said: hi\n" == first.stdout
    assert "Hello from the MiniMax stand-in. You said: hi\n" == second.stdout
    assert "deepseek/deepseek-flash failed" in second.stderr
    assert "Hello from the OpenAI stand-in. You said: hi\n" == third.stdout
    assert [0, 0, 0, 0] == [first.returncode, second.returncode, third.returncode, checked.returncode]
    assert "sandbox-key" not in checked.stdout + checked.stderr + first.stderr + second.stderr
    assert os.name != "posix" or 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_sandbox_starts_with_faults(start: Start, here: Run, tmp_path: Any) -> None:
    """`sandbox --fault` starts with a vendor that fails."""
    file = tmp_path / "stand-ins.toml"
    faults = ["--fault", "deepseek=down", "--fault", "minimax=auth"]
    start("sandbox", *faults, "--write-config", str(file)).wait_for("Wrote ")
    done = here("ask", "--config", str(file), "smart", "hi")

    assert "Hello from the OpenAI stand-in. You said: hi\n" == done.stdout


def test_a_broken_answer(start: Start, here: Run, tmp_path: Any) -> None:
    """What arrived of an answer that broke off stays on stdout; stderr says that it did, and the exit code is 4."""
    file = tmp_path / "stand-ins.toml"
    start("sandbox", "--fault", "deepseek=cut:13", "--write-config", str(file)).wait_for("Wrote ")
    done = here("ask", "--config", str(file), "smart", "hi")

    assert 4 == done.returncode
    assert "Hello from the\n" == done.stdout
    assert done.stderr.startswith("error: the answer broke off before its end")
    assert "Traceback" not in done.stderr


def test_demo(run: Run) -> None:
    """`demo` runs to its end without a key, names four vendors, shows a failover and says what it is."""
    done = run("demo")

    assert 0 == done.returncode
    assert "" == done.stderr
    assert "stand-ins" in done.stdout.splitlines()[0]
    assert all(f"{vendor}/" in done.stdout for vendor in VENDORS)
    assert all(f"Hello from the {title} stand-in" in done.stdout for title in ("DeepSeek", "MiniMax", "OpenAI", "Groq"))
    assert re.search(r"deepseek/deepseek-flash failed .*connect", done.stdout)
    assert "read_ledger(" in done.stdout


def test_models_without_a_provider(here: Run) -> None:
    """`models` lists all installed catalogues when nothing is configured."""
    done = here("models")

    assert 0 == done.returncode
    assert all(f"{vendor}/" in done.stdout for vendor in VENDORS)
    assert "No provider is configured" in done.stderr


def test_models_of_the_configured_providers(here: Run) -> None:
    """With one key, `models` lists that vendor's models and the route over it."""
    done = here("models", env={"GROQ_API_KEY": "gsk_canary"})

    assert 0 == done.returncode
    assert "route smart: groq/openai/gpt-oss-120b" == done.stdout.splitlines()[0]
    assert "minimax" not in done.stdout
    assert "gsk_canary" not in done.stdout + done.stderr


def test_models_json(here: Run) -> None:
    """`models --json` gives routes and models, prices as texts in dollars per million."""
    listed = json.loads(here("models", "--json", env={"DEEPSEEK_API_KEY": "sk-canary"}).stdout)
    flash = next(model for model in listed["models"] if model["id"] == "deepseek-flash")

    assert {"smart": ["deepseek/deepseek-flash"]} == listed["routes"]
    assert {"deepseek"} == {model["provider"] for model in listed["models"]}
    assert isinstance(flash["input_per_million"], str)


def test_plugins(here: Run) -> None:
    """`plugins` lists what is installed, with version and state."""
    done = here("plugins")

    assert 0 == done.returncode
    for name in VENDORS:
        assert re.search(rf"^{name} +provider +aigateway-{name} .*loaded", done.stdout, re.MULTILINE)


def test_plugins_json(here: Run) -> None:
    """`plugins --json` gives the same as data."""
    listed = {row["name"]: row for row in json.loads(here("plugins", "--json").stdout)}

    assert {*VENDORS, "echo"} <= listed.keys()
    assert {"loaded"} == {listed[name]["state"] for name in VENDORS}
    assert {"name", "kind", "distribution", "version", "state", "reason"} == set(listed["groq"])


def test_plugins_new(here: Run, tmp_path: Path) -> None:
    """`plugins new` writes what the example holds, under the name's spellings, and prints where."""
    done = here("plugins", "new", "yourvendor")
    hyphened = here("plugins", "new", "acme-2-cloud", "mine")
    wanted = {
        file.relative_to(EXAMPLE): file.read_text()
        for file in EXAMPLE.rglob("*")
        if file.suffix != ".pyc" and file.is_file()
    }
    folder = tmp_path / "aigateway-yourvendor"
    written = {file.relative_to(folder): file.read_text() for file in folder.rglob("*") if file.is_file()}
    module = (tmp_path / "mine/src/aigateway_acme_2_cloud/__init__.py").read_text()

    assert [(0, "aigateway-yourvendor\n"), (0, "mine\n")] == [(one.returncode, one.stdout) for one in (done, hyphened)]
    assert wanted == {path: text.replace("Yourvendor", "YourVendor") for path, text in written.items()}
    assert 'ProviderRecord("acme-2-cloud", Acme2Cloud, key_variables=("ACME_2_CLOUD_API_KEY",))' in module
    assert 'acme-2-cloud = "aigateway_acme_2_cloud"' in (tmp_path / "mine/pyproject.toml").read_text()
    assert (
        "yourvendor"
        not in "".join(file.read_text() for file in (tmp_path / "mine").rglob("*.*") if file.is_file()).lower()
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("groq",), "there is a plug-in 'groq' already"),
        (("openai-compatible",), "there is a plug-in 'openai-compatible' already"),
        (("../x",), "is no provider's name"),
        (("My_Vendor",), "is no provider's name"),
        (("acme", "."), ". is there already"),
    ],
)
def test_plugins_new_refuses(here: Run, tmp_path: Path, words: tuple[str, ...], why: str) -> None:
    """A name that is taken or none, or a folder that is there, is a mistake of usage; nothing is written."""
    done = here("plugins", "new", *words)

    assert 2 == done.returncode
    assert why in done.stderr
    assert [] == list(tmp_path.iterdir())


def test_the_help_names_each_command_whole(here: Run) -> None:
    """No line of a list of commands is cut off."""
    assert [] == [
        line
        for words in ([], ["keys"], ["callers"], ["plugins"])
        for line in here(*words, "--help").stdout.splitlines()
        if line.endswith("...") and not line.startswith("Usage:")
    ]


def test_check(here: Run) -> None:
    """`check` says what would be built, and counts keys without showing them."""
    done = here("check", env={"OPENAI_API_KEY": "sk-canary-1,sk-canary-2", "AI_GATEWAY_GATEWAY_API_KEY": "canary-3"})

    assert 0 == done.returncode
    assert "provider openai: 2 key(s)" in done.stdout
    assert "client keys: 1 written down" in done.stdout
    assert "route smart: openai/gpt-5.4-mini" in done.stdout
    assert "canary" not in done.stdout + done.stderr


def test_check_json(here: Run) -> None:
    """`check --json` gives the same as data."""
    report = json.loads(here("check", "--json", env={"OPENAI_API_KEY": "sk-canary"}).stdout)

    assert {"keys": 1} == {"keys": report["providers"]["openai"]["keys"]}
    assert {"smart": ["openai/gpt-5.4-mini"]} == report["routes"]
    assert "the environment" == report["origin"]


def test_check_looks_at_models(here: Run, write: Callable[[str], str]) -> None:
    """`check` names targets that are in no catalogue, and says that the gateway can be built all the same."""
    file = write('[providers.groq]\nkeys = [{ secret = "env:K" }]\n[routes.r]\ntargets = ["groq/llama-9"]\n')
    done = here("check", "--config", file, env={"K": "gsk_canary"})

    assert 0 == done.returncode
    assert "look at: routes.r: groq/llama-9 is not in groq's catalogue" in done.stdout


def test_a_provider_in_this_process(here: Run, write: Callable[[str], str]) -> None:
    """The echo provider needs no key and no network."""
    done = here("ask", "--config", write(ECHO), "smart", "hello there")

    assert "hello there\n" == done.stdout


COMMANDS = ["serve", "ask", "demo", "sandbox", "models", "plugins", "init", "check", "doctor", "schema"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help(here: Run, command: str) -> None:
    """Every command says what it does."""
    done = here(command, "--help")

    assert 0 == done.returncode
    assert f"Usage: aigateway {command}" in done.stdout


def test_version(run: Run) -> None:
    """`--version` prints it and nothing else."""
    assert "aigateway 0.1.0\n" == run("--version").stdout
