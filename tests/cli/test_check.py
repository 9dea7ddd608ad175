"""`check` shows what was built and where it stands, and names whatever deserves a look, with its place."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

Invoke = Callable[..., Any]
Check = Callable[..., list[str]]

LATER = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
ENV = {"A": "gsk_canary_key_one", "B": "gsk_canary_key_two", "C": "canary-client-key-1", "MANY": "gsk_a,gsk_b"}
GROQ = '[providers.groq]\nkeys = [{ secret = "env:A" }]\n'
DEEPSEEK = '[providers.deepseek]\nkeys = [{ secret = "env:A" }]\n'
OPENAI = '[providers.openai]\nkeys = [{ secret = "env:A" }]\n'
LOCAL = '[providers.local]\ntype = "openai-compatible"\nbase_url = "http://127.0.0.1:1/v1"\n'
ROUTE = '[routes.r]\ntargets = ["groq/openai/gpt-oss-120b"]\n'


@pytest.fixture
def check(invoke: Invoke, tmp_path: Path) -> Check:
    """Check a configuration; give the lines that begin with `look at`."""

    def run(text: str) -> list[str]:
        (tmp_path / "aigateway.toml").write_text(text, encoding="utf-8")
        done = invoke("check", env=ENV)
        assert (0, "") == (done.code, done.err)
        assert done.out.endswith("The gateway can be built.\n")
        assert "canary" not in done.out
        return [line.removeprefix("look at: ") for line in done.out.splitlines() if line.startswith("look at: ")]

    return run


@pytest.mark.parametrize(
    "text",
    [
        GROQ + ROUTE,
        GROQ
        + ROUTE
        + '[[callers.keys]]\nname = "e"\nsecret = "env:C"\nmodels = ["r", "groq/*", "openai/gpt-oss-20b"]\n',
        GROQ + '[routes."openai/gpt-oss-120b"]\ntargets = ["groq/openai/gpt-oss-120b", "groq/openai/gpt-oss-20b"]\n',
        GROQ + ROUTE + '[state]\nurl = "file:state.json"\n[[guards]]\nuse = "log"\n',
        DEEPSEEK + '[routes.r]\nrecovery = "continue"\ntargets = ["deepseek/deepseek-flash"]\n',
        LOCAL + '[routes.r]\ntargets = ["local/anything"]\n',
    ],
    ids=["plain", "clients", "first", "file", "continue", "local"],
)
def test_what_is_right_is_silent(text: str, check: Check) -> None:
    """A configuration that means what it says gives no finding."""
    assert [] == check(text)


FINDINGS = {
    "unknown": (GROQ + '[routes.r]\ntargets = ["groq/openai/gpt-oss-120"]\n', "did you mean 'openai/gpt-oss-120b'?"),
    "retired": (
        DEEPSEEK + '[routes.r]\ntargets = ["deepseek/deepseek-chat"]\n',
        "routes.r: deepseek/deepseek-chat is retired; use deepseek/",
    ),
    "expired": (
        '[providers.groq]\nkeys = [{ secret = "env:A", expires = 2020-01-01 }]\n' + ROUTE,
        "can never be asked: every key of groq has expired",
    ),
    "for others": (
        '[providers.groq]\nkeys = [{ secret = "env:A", models = ["openai/gpt-oss-20b"] }]\n' + ROUTE,
        "can never be asked: no key of groq that is valid may be used for it (models)",
    ),
    "soon": (f'[providers.groq]\nkeys = [{{ secret = "env:A", expires = {LATER} }}]\n' + ROUTE, " expires on "),
    "several": ('[providers.groq]\nkeys = [{ secret = "env:MANY" }]\n' + ROUTE, "holds a comma"),
    "twice": ('[providers.groq]\nkeys = [{ secret = "env:A" }, { secret = "env:A" }]\n' + ROUTE, "stands there twice"),
    "no such model": (
        '[providers.groq]\nkeys = [{ secret = "env:A" }, { secret = "env:B", models = ["gpt-9*"] }]\n' + ROUTE,
        "is for 'gpt-9*', which is no model of groq",
    ),
    "repeat": (
        GROQ + '[routes.r]\ntargets = ["groq/openai/gpt-oss-120b", { to = "groq/openai/gpt-oss-120b", weight = 2 }]\n',
        "routes.r: groq/openai/gpt-oss-120b stands there twice",
    ),
    "hides": (
        GROQ + '[routes."openai/gpt-oss-20b"]\ntargets = ["groq/openai/gpt-oss-120b"]\n',
        "routes.openai/gpt-oss-20b hides the model openai/gpt-oss-20b of groq",
    ),
    "hides a pin": (
        GROQ + '[routes."groq/openai/gpt-oss-20b"]\ntargets = ["groq/openai/gpt-oss-120b"]\n',
        "that model of groq cannot be reached any more",
    ),
    "a vendor's word": (
        OPENAI + '[routes.GPT]\ntargets = ["openai/gpt-5.4-mini"]\n',
        "routes.GPT is a word that stands for openai: GPT-x, say, goes there and not to this route",
    ),
    "continue": (
        GROQ + '[routes.r]\nrecovery = "continue"\ntargets = ["groq/openai/gpt-oss-120b"]\n',
        'recovery = "continue", but none of its targets can',
    ),
    "no default": ('unknown_models = "default"\n' + GROQ + ROUTE, "there is no default_model"),
    "short": (
        GROQ + ROUTE + '[[callers.keys]]\nname = "e"\nsecret = "short"\nallow_literal = true\n',
        "the key of 'e' is short enough to be guessed",
    ),
    "over": (
        GROQ + ROUTE + '[[callers.keys]]\nname = "e"\nsecret = "env:C"\nexpires = 2020-01-01\n',
        "the key of 'e' has expired",
    ),
    "nobody's": (
        GROQ + '[routes.smart]\ntargets = ["groq/openai/gpt-oss-120b"]\n'
        '[[callers.keys]]\nname = "e"\nsecret = "env:C"\nmodels = ["smrt", "smart"]\n',
        "'e' may use 'smrt', which names nothing here; did you mean 'smart'?",
    ),
    "forbidden": (
        GROQ + ROUTE + '[routes.other]\ntargets = ["groq/openai/gpt-oss-20b"]\n'
        '[[callers.keys]]\nname = "e"\nsecret = "env:C"\nmodels = ["r"]\n',
        "routes.other can never be reached over HTTP",
    ),
    "address": (GROQ + ROUTE + '[server]\nhost = "0.0.0.0"\n', "`aigateway serve` refuses that"),
    "guards": (GROQ + ROUTE + '[[guards]]\nuse = "log"\n' * 2, "guards[1]: log stands there twice"),
    "folder": (GROQ + ROUTE + '[state]\nurl = "file:absent/state.json"\n', "state.url: the folder"),
    "record": (GROQ + ROUTE + '[decisions]\nfile = "absent/d.jsonl"\n', "decisions.file: the folder"),
    "is a folder": (GROQ + ROUTE + '[state]\nurl = "file:."\n', "is a folder; name a file in it"),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_what_deserves_a_look_is_named(name: str, check: Check) -> None:
    """One line says what, and where it stands."""
    text, words = FINDINGS[name]
    found = check(text)

    assert any(words in line for line in found), found


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written(check: Check, tmp_path: Path) -> None:
    """State and client keys are replaced as a whole, so their folder has to be writable."""
    (tmp_path / "locked").mkdir(mode=0o500)
    found = check(GROQ + ROUTE + '[state]\nurl = "file:locked/state.json"\n')

    assert any("state.url: nothing can be written" in line for line in found)


def test_strict_fails_on_findings_only(invoke: Invoke, tmp_path: Path) -> None:
    """--strict turns a finding into exit code 1, and nothing else into anything."""
    (tmp_path / "aigateway.toml").write_text(GROQ + ROUTE, encoding="utf-8")
    clean = invoke("check", "--strict", env=ENV)
    (tmp_path / "aigateway.toml").write_text('[providers.groq]\nkeys = [{ secret = "env:MANY" }]\n', encoding="utf-8")
    found = invoke("check", "--strict", "--json", env=ENV)

    assert (0, 1) == (clean.code, found.code)
    assert 1 == len(json.loads(found.out)["warnings"])


def test_a_broken_plugin_is_named(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed and cannot be loaded is a finding, although nothing here needs it."""
    info = tmp_path / "site" / "broken-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 0.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[aigateway]\nbrokenvendor = not_there_at_all\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (tmp_path / "aigateway.toml").write_text(GROQ + ROUTE, encoding="utf-8")
    done = invoke("check", env=ENV)

    assert "look at: the plug-in brokenvendor (broken) is broken: ModuleNotFoundError" in done.out


TREE = """default_model = "smart"
fallback = "smart"

[providers.groq]
rotation = "headroom"
keys = [
  { secret = "env:A", quota_group = "team-a" },
  { secret = "env:B", quota_group = "team-b", models = ["openai/*"] },
]

[providers.second]
type = "groq"
keys = [{ secret = "env:B" }]

[routes.smart]
policy = "weighted"
recovery = "buffer"
timeouts = { total = 60 }
targets = [
  { to = "groq/openai/gpt-oss-120b", weight = 3 },
  { to = "second/openai/gpt-oss-20b", timeouts = { silence = 5 } },
]
"""


def test_what_was_built_is_shown(invoke: Invoke, tmp_path: Path) -> None:
    """Providers with their keys by id and source, routes with all that was set, each with its line."""
    (tmp_path / "aigateway.toml").write_text(TREE, encoding="utf-8")
    out = invoke("check", env=ENV).out

    assert "provider groq: 2 key(s), headroom, " in out
    assert "models  (line 4)\n    key-" in out
    assert " from env:B, quota group team-b, for openai/*\n" in out
    assert "provider second: 1 key(s), " in out
    assert ", by the plug-in groq  (line 11)\n" in out
    assert "route smart: weighted: groq/openai/gpt-oss-120b, second/openai/gpt-oss-20b  (line 15)\n" in out
    assert "    timeouts {total 60}, recovery buffer\n" in out
    assert "    - groq/openai/gpt-oss-120b  (weight 3)\n" in out
    assert "    - second/openai/gpt-oss-20b  (timeouts {silence 5})\n" in out
    assert "requests that name no model: smart\nnames nobody knows: refused\nnamed models go on at: smart\n" in out


NESTED = (
    GROQ
    + """
[routes.shared]
policy = "weighted"
targets = [{ to = "groq/openai/gpt-oss-120b", weight = 2 }, "groq/openai/gpt-oss-20b"]

[routes.outer]
targets = [{ to = "shared", when = { tags = "big", input_tokens_above = 100 } }, "groq/openai/gpt-oss-20b"]
shadow = { to = "groq/openai/gpt-oss-20b", share = 0.5 }
"""
)


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ("", "guards: none; `aigateway serve` adds log, metrics, concurrency, rate_limit\n"),
        ("[[guards]]\nuse = 'rate_limit'\n", "guards: rate_limit; `aigateway serve` adds log, metrics, concurrency\n"),
    ],
)
def test_guards_of_a_server_are_named(invoke: Invoke, tmp_path: Path, configured: str, said: str) -> None:
    """Nobody is to think that nothing limits his callers: what `serve` adds by itself is said."""
    (tmp_path / "aigateway.toml").write_text(GROQ + ROUTE + configured, encoding="utf-8")

    assert said in invoke("check", env=ENV).out


def test_routes_inside_of_routes_are_shown(invoke: Invoke, tmp_path: Path) -> None:
    """With their own policy and targets, conditions, and where copies go."""
    (tmp_path / "aigateway.toml").write_text(NESTED, encoding="utf-8")
    out = invoke("check", env=ENV).out

    assert "route outer: shared -> groq/openai/gpt-oss-20b  (line 8)\n" in out
    assert "    shadow {to groq/openai/gpt-oss-20b, share 0.5}\n" in out
    assert "    1. shared: weighted  (when {tags big, input_tokens_above 100})\n" in out
    assert "       - groq/openai/gpt-oss-120b  (weight 2)\n       - groq/openai/gpt-oss-20b\n" in out
    assert "    2. groq/openai/gpt-oss-20b\n" in out


def test_what_was_built_as_data(invoke: Invoke, tmp_path: Path) -> None:
    """`--json` gives the same."""
    (tmp_path / "aigateway.toml").write_text(TREE, encoding="utf-8")
    found = json.loads(invoke("check", "--json", env=ENV).out)

    assert {"team-a": 1, "team-b": 1} == found["providers"]["groq"]["quota_groups"]
    assert ["env:A", "env:B"] == [key["from"] for key in found["providers"]["groq"]["listing"]]
    assert ("weighted", "buffer") == (found["trees"]["smart"]["policy"], found["trees"]["smart"]["recovery"])
    assert "aigateway.toml, line 15" == found["trees"]["smart"]["at"]
    assert ["groq/openai/gpt-oss-120b", "second/openai/gpt-oss-20b"] == found["routes"]["smart"]
