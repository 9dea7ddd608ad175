"""`init` writes what the environment offers: references and never values; the file is one `check` takes."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

Invoke = Callable[..., Any]

LONG = "qwertzuiopasdfghjklyxcvbnm-1234567890"
KEYS = {"GROQ_API_KEY": "gsk_canary_1", "OPENAI_API_KEY": "sk-canary-2"}
CLIENTS = {"AI_GATEWAY_GATEWAY_API_KEY": "canary-client-key-3", "ADMIN_API_KEY": "canary-admin-key-44"}
ROOTS = {"SECRET_KEY": "canary-s" + LONG, "ADMIN_SECRET": "canary-a" + LONG, "JWT_SECRET": "canary-j" + LONG}
ALL = {**KEYS, **CLIENTS, **ROOTS, "MINIMAX_API_KEY": "mm-canary-4", "DEEPSEEK_API_KEY": "sk-canary-5"}


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


PREFIXED = {"AI_GATEWAY_DEEPSEEK_API_KEY": "sk-canary-9"}


@pytest.mark.parametrize("env", [KEYS, ALL, PREFIXED], ids=["two", "all", "prefix"])
@pytest.mark.parametrize("options", [[], ["--minimal"]], ids=["whole", "minimal"])
def test_what_is_written_is_taken(env: dict[str, str], options: list[str], invoke: Invoke, tmp_path: Path) -> None:
    """`check` builds it, no value of a secret is in it or was said, and its references are those of the environment."""
    done = invoke("init", *options, env=env)
    text = (tmp_path / "aigateway.toml").read_text(encoding="utf-8")
    checked = invoke("check", env=env)

    assert (0, "") == (done.code, done.out)
    assert (0, "aigateway.toml") == (checked.code, checked.out.splitlines()[0].removeprefix("configuration: "))
    assert "canary" not in text + done.err + checked.out + checked.err
    assert "look at" not in done.err
    assert all(f'"env:{name}"' in text for name in env)


def test_the_route_has_the_vendors_in_their_order(invoke: Invoke, tmp_path: Path) -> None:
    """Those whose keys are set are its targets; it is the default, and where named models go on."""
    invoke("init", env=KEYS)
    made = read(tmp_path / "aigateway.toml")

    assert ["openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b"] == made["routes"]["smart"]["targets"]
    assert ("smart", "smart", "refuse") == (made["default_model"], made["fallback"], made["unknown_models"])
    assert ["openai", "groq"] == list(made["providers"])


def test_choices_are_comments_that_can_be_taken(invoke: Invoke, tmp_path: Path) -> None:
    """Each commented setting is one: without its `# ` the file is still read."""
    invoke("init", env=ALL)
    lines = (tmp_path / "aigateway.toml").read_text(encoding="utf-8").splitlines()
    settings = [line for line in lines if line.startswith(("# [", "#   ", "# }")) or " = " in line.partition("  # ")[0]]
    taken = "\n".join(line.removeprefix("# ") for line in lines if line in settings or not line.startswith("#"))
    example = 'keys = [{ secret = "env:KEY_A" }'  # it stands above the vendors, as the form of one
    (tmp_path / "aigateway.toml").write_text(taken.replace(example, "#", 1), encoding="utf-8")

    assert {"callers", "state", "server", "timeouts", "guards"} <= set(read(tmp_path / "aigateway.toml"))
    assert 0 == invoke("check", env=ALL).code


def test_editors_find_the_schema(invoke: Invoke, tmp_path: Path) -> None:
    """The first line names the schema beside the file, by which the file is valid."""
    invoke("init", env=KEYS)
    named = (tmp_path / "aigateway.toml").read_text(encoding="utf-8").splitlines()[0]
    schema = json.loads((tmp_path / "aigateway.schema.json").read_text(encoding="utf-8"))

    assert "#:schema ./aigateway.schema.json" == named
    assert jsonschema_rs.Draft7Validator(schema).is_valid(read(tmp_path / "aigateway.toml"))


def test_nothing_found_says_what_to_do(invoke: Invoke, tmp_path: Path) -> None:
    """Without a key a file is written whose vendors are choices, and both ways on are named."""
    done = invoke("init")

    assert 0 == done.code
    assert "Set one of DEEPSEEK_API_KEY" in done.err
    assert "aigateway demo" in done.err
    assert {"unknown_models": "refuse"} == read(tmp_path / "aigateway.toml")
    assert 3 == invoke("check").code


def test_keys_in_a_dotenv_are_found(invoke: Invoke, tmp_path: Path) -> None:
    """What stands in `.env` counts as for every command."""
    (tmp_path / ".env").write_text("GROQ_API_KEY=gsk_canary\n", encoding="utf-8")
    done = invoke("init")

    assert "It asks groq" in done.err
    assert 0 == invoke("check").code


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"OPENAI_API_KEY": "sk-a,sk-b", "GROQ_API_KEY": "g"}, "OPENAI_API_KEY holds several keys"),
        ({"OPENAI_API_KEY": "sk a", "GROQ_API_KEY": "g"}, "OPENAI_API_KEY is not one word"),
    ],
)
def test_a_key_that_would_not_work_is_left_out(env: dict[str, str], words: str, invoke: Invoke, tmp_path: Path) -> None:
    """And it is said why; the others stand."""
    done = invoke("init", env=env)

    assert words in done.err
    assert ["groq"] == list(read(tmp_path / "aigateway.toml")["providers"])


def test_a_secret_that_is_none_stays_a_comment(invoke: Invoke, tmp_path: Path) -> None:
    """A root that is too short would stop the start, so it is left a choice."""
    invoke("init", env={**KEYS, "ADMIN_SECRET": "short", "SECRET_KEY": "changeme" * 8})

    assert "callers" not in read(tmp_path / "aigateway.toml")
    assert 0 == invoke("check", env=KEYS).code


def test_a_file_that_is_there_is_kept(invoke: Invoke, tmp_path: Path) -> None:
    """Without --force nothing is written, whatever is there: a file, or a link to nowhere."""
    (tmp_path / "aigateway.toml").write_text("mine", encoding="utf-8")
    (tmp_path / "link.toml").symlink_to(tmp_path / "nowhere")
    refused = invoke("init", env=KEYS)
    through = invoke("init", "link.toml", env=KEYS)

    assert (2, 2) == (refused.code, through.code)
    assert "--force" in refused.err
    assert "mine" == (tmp_path / "aigateway.toml").read_text(encoding="utf-8")
    assert not (tmp_path / "nowhere").exists()


def test_force_writes_over_it_whole(invoke: Invoke, tmp_path: Path) -> None:
    """The mode it had stays; nothing is left beside it."""
    path = tmp_path / "aigateway.toml"
    path.write_text("mine", encoding="utf-8")
    path.chmod(0o600)
    done = invoke("init", "--force", env=KEYS)

    assert 0 == done.code
    assert "smart" == read(path)["default_model"]
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert ["aigateway.schema.json", "aigateway.toml"] == sorted(entry.name for entry in tmp_path.iterdir())


def test_a_folder_a_file_or_standard_output(invoke: Invoke, tmp_path: Path) -> None:
    """PATH may be any of them; - writes nothing and prints it."""
    (tmp_path / "folder").mkdir()
    invoke("init", "folder", env=KEYS)
    invoke("init", "folder/other.toml", "--minimal", env=KEYS)
    printed = invoke("init", "-", "--minimal", env=KEYS)

    assert {"aigateway.toml", "aigateway.schema.json", "other.toml"} == set(os.listdir(tmp_path / "folder"))
    assert (tmp_path / "folder/other.toml").read_text(encoding="utf-8") == printed.out
    assert "#" not in printed.out
    assert ("", ["folder"]) == (printed.err, os.listdir(tmp_path))


def test_a_folder_that_is_not_there_is_an_error(invoke: Invoke) -> None:
    """It is said in a line, with exit code 1."""
    done = invoke("init", "absent/aigateway.toml", env=KEYS)

    assert (1, "error: No such file or directory.\n") == (done.code, done.err)
