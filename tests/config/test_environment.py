"""Settings from the environment: alone, or over a file; and where settings are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aigateway import ConfigurationError, Gateway, Settings
from aigateway.cli._over import read_dotenv, with_workers
from aigateway.config import VENDORS, as_sandbox, load, with_guards
from aigateway.config._load import environment_settings, find_file

KEYS = {variable: f"key-of-{name}" for name, variable, _ in VENDORS}


def alone(folder: Path, **environ: str) -> Settings:
    """Load what variables alone make, as `load` does where no file is."""
    assert find_file({}, folder) is None
    return environment_settings(environ)


def over(text: str, folder: Path, **environ: str) -> Settings:
    """Load a file under an environment."""
    (folder / "aigateway.toml").write_text(text, encoding="utf-8")
    return load(folder / "aigateway.toml", environ=environ)


def revealed(settings: Settings, provider: str) -> list[str]:
    return [key.secret.reveal() for key in settings.providers[provider].keys]


def test_keys_alone_make_a_gateway(tmp_path: Path) -> None:
    """One route over the vendors whose keys exist, in the design's order."""
    settings = alone(tmp_path, **dict(reversed(KEYS.items())))

    assert ["deepseek", "minimax", "openai", "groq"] == list(settings.providers)
    assert [
        "deepseek/deepseek-flash",
        "minimax/MiniMax-M3",
        "openai/gpt-5.4-mini",
        "groq/openai/gpt-oss-120b",
    ] == [target.to for target in settings.routes["smart"].targets]
    assert ("smart", "default", "smart") == (settings.default_model, settings.unknown_models, settings.fallback)
    assert "the environment" == settings.origin
    assert ["smart"] == list(Gateway(settings).parts.names.routes)


@pytest.mark.parametrize("vendor", range(4))
def test_one_key_is_enough(vendor: int, tmp_path: Path) -> None:
    """Only what has a key is there."""
    name, variable, model = VENDORS[vendor]
    settings = alone(tmp_path, **{variable: "k"})

    assert [name] == list(settings.providers)
    assert [f"{name}/{model}"] == [target.to for target in settings.routes["smart"].targets]


def test_no_key_is_no_provider(tmp_path: Path) -> None:
    """Empty variables are none; who needs a provider says so."""
    settings = alone(tmp_path, OPENAI_API_KEY="", GROQ_API_KEY=" , ")

    assert ({}, {}, "") == (settings.providers, settings.routes, settings.default_model)


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("one", ["one"]),
        ("one,two", ["one", "two"]),
        (" one , two ,", ["one", "two"]),
        (",one,", ["one"]),
        ("one,", ["one"]),
    ],
)
def test_several_keys_are_comma_separated(value: str, keys: list[str], tmp_path: Path) -> None:
    """Blanks and empty places do not count."""
    assert keys == revealed(alone(tmp_path, OPENAI_API_KEY=value), "openai")


def test_keys_may_have_our_prefix(tmp_path: Path) -> None:
    """The plain name wins where both are set."""
    assert ["p"] == revealed(alone(tmp_path, AI_GATEWAY_OPENAI_API_KEY="p"), "openai")
    assert ["o"] == revealed(alone(tmp_path, AI_GATEWAY_OPENAI_API_KEY="p", OPENAI_API_KEY="o"), "openai")
    assert ["p"] == revealed(alone(tmp_path, AI_GATEWAY_OPENAI_API_KEY="p", OPENAI_API_KEY=" "), "openai")


def test_several_keys_are_not_shown(tmp_path: Path) -> None:
    """Neither in the settings nor in the context."""
    settings = alone(tmp_path, OPENAI_API_KEY="secret-one,secret-two")

    assert "secret-" not in f"{settings!r} {settings.model_dump()!r}"


def test_variables_are_laid_over_a_file(tmp_path: Path) -> None:
    """The environment wins; what it does not name stays."""
    text = "default_model = 'a'\n[server]\nport = 1\nhost = 'file'\n[limits]\nmax_tokens = 5"
    environ = {
        "AI_GATEWAY_PORT": "9000",
        "AI_GATEWAY_DEBUG": "Yes",
        "AI_GATEWAY_DEFAULT_MODEL": "b",
        "AI_GATEWAY_MAX_TOKENS": "7",
        "AI_GATEWAY_LOG_REQUESTS": "off",
        "AI_GATEWAY_LOG_LEVEL": "debug",
        "AI_GATEWAY_PLUGINS": "a, b,",
        "AI_GATEWAY_HOST": "",
    }
    settings = over(text, tmp_path, **environ)

    assert ("b", 9000, "file", True) == (
        settings.default_model,
        settings.server.port,
        settings.server.host,
        settings.server.debug,
    )
    assert (7, False, "DEBUG", ["a", "b"]) == (
        settings.limits.max_tokens,
        settings.server.log_requests,
        settings.server.log_level,
        settings.plugins,
    )
    assert "AI_GATEWAY_HOST" not in settings.origin


def test_plain_names_are_honoured_and_ours_win(tmp_path: Path) -> None:
    """PORT, DEBUG and LOG_LEVEL, as hosting platforms set them."""
    assert 81 == alone(tmp_path, PORT="81").server.port
    assert 82 == alone(tmp_path, PORT="81", AI_GATEWAY_PORT="82").server.port
    assert alone(tmp_path, DEBUG="1").server.debug
    assert "ERROR" == alone(tmp_path, LOG_LEVEL="error").server.log_level


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("AI_GATEWAY_PORT", "http", "AI_GATEWAY_PORT must be a port number, not 'http'"),
        ("PORT", "1.5", "PORT must be a port number"),
        ("AI_GATEWAY_PORT", "70000", "server.port"),
        ("AI_GATEWAY_DEBUG", "maybe", "AI_GATEWAY_DEBUG must be true or false, not 'maybe'"),
        ("AI_GATEWAY_MAX_TOKENS", "many", "AI_GATEWAY_MAX_TOKENS must be a number of tokens"),
        ("AI_GATEWAY_MAX_TOKENS", "0", "limits.max_tokens"),
        ("AI_GATEWAY_LOG_LEVEL", "loud", "log_level"),
    ],
)
def test_wrong_values_name_the_variable(variable: str, value: str, words: str, tmp_path: Path) -> None:
    """And what it should be."""
    with pytest.raises(ConfigurationError) as error:
        alone(tmp_path, **{variable: value})

    assert words in error.value.message


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("AI_GATEWAY_PROT", "Did you mean AI_GATEWAY_PORT?"),
        ("AI_GATEWAY_GATEWAY_KEY", "Did you mean AI_GATEWAY_GATEWAY_API_KEY?"),
        ("AI_GATEWAY_OPENAI_KEY", "Did you mean AI_GATEWAY_OPENAI_API_KEY?"),
        ("AI_GATEWAY_ZZZZZZZZZZZZZZZZZZZZZZZZZZ", ".env.example"),
    ],
)
def test_unknown_variables_suggest_the_nearest(variable: str, hint: str, tmp_path: Path) -> None:
    """A typo in the environment is not a silent default."""
    with pytest.raises(ConfigurationError, match=variable) as error:
        alone(tmp_path, **{variable: "s3cret-value"})

    assert hint in error.value.message
    assert "s3cret-value" not in error.value.message


def test_guards_from_the_environment(tmp_path: Path) -> None:
    """A variable sets what the file says of a guard, or puts it before the others; not one with another `per`."""
    limits = {"AI_GATEWAY_RATE_LIMIT_REQUESTS": "60", "AI_GATEWAY_RATE_LIMIT_BURST": "6"}
    table = {"requests_per_minute": 60, "burst": 6}
    alone_ = alone(tmp_path, **limits, AI_GATEWAY_LOG_RESPONSES="true", AI_GATEWAY_MAX_CONTEXT_LENGTH="9000")
    assert [("rate_limit", table), ("log", {"responses": True})] == [(guard.use, guard.own) for guard in alone_.guards]
    assert 9000 == alone_.limits.max_context_length

    special = "[[guards]]\nuse = 'rate_limit'\nper = 'address'\n"
    (tmp_path / "aigateway.toml").write_text(special + "[[guards]]\nuse = 'rate_limit'\nburst = 1\n")
    both = load(tmp_path / "aigateway.toml", environ=limits)
    assert [{"per": "address"}, table] == [guard.own for guard in both.guards]
    (tmp_path / "aigateway.toml").write_text(special)
    added = load(tmp_path / "aigateway.toml", environ=limits)
    assert [table, {"per": "address"}] == [guard.own for guard in added.guards]


def test_client_keys_from_the_environment(tmp_path: Path) -> None:
    """The gateway's and the operator's; the plain admin name too; no key twice."""
    settings = alone(tmp_path, AI_GATEWAY_GATEWAY_API_KEY="g", ADMIN_API_KEY="a")

    assert [("gateway", "g", ["chat"]), ("operator", "a", ["chat", "admin"])] == [
        (key.name, key.secret.reveal(), key.scopes) for key in settings.callers.keys
    ]
    both = alone(tmp_path, AI_GATEWAY_ADMIN_API_KEY="ours", ADMIN_API_KEY="plain")
    assert ["ours"] == [key.secret.reveal() for key in both.callers.keys]
    file = "[[callers.keys]]\nname = 'editor'\nsecret = 'env:AI_GATEWAY_GATEWAY_API_KEY'"
    assert ["editor"] == [key.name for key in over(file, tmp_path, AI_GATEWAY_GATEWAY_API_KEY="g").callers.keys]


@pytest.mark.parametrize(
    "text",
    [
        *("callers = 3", "[callers]\nkeys = 3", "[callers]\nkeys = 'x'", "callers = ['x']", "server = 3"),
        *("state = 3", "guards = 3", "guards = 'x'"),
    ],
)
def test_a_wrong_table_under_a_variable_is_still_told(text: str, tmp_path: Path) -> None:
    """The file's mistake is a sentence, also when a variable would be laid over it."""
    with pytest.raises(ConfigurationError, match=r"aigateway\.toml, line"):
        over(
            text,
            tmp_path,
            AI_GATEWAY_GATEWAY_API_KEY="g",
            AI_GATEWAY_PORT="1",
            AI_GATEWAY_RATE_LIMIT_BURST="1",
            REDIS_URL="redis://127.0.0.1:1",
        )


def discovered(folder: Path, **environ: str) -> str:
    """Load in `folder` with nothing named, in a fresh interpreter; give the origin and the default model."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AI_GATEWAY", *KEYS))}
    code = "from aigateway.config import load; s = load(); print(s.origin, s.default_model, sep='|')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**clean, **environ}, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_the_nearest_file_upward_is_found(tmp_path: Path) -> None:
    """Before AI_GATEWAY_CONFIG, which is before the environment alone."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "elsewhere.toml").write_text("default_model = 'named'", encoding="utf-8")
    named = {"AI_GATEWAY_CONFIG": str(tmp_path / "elsewhere.toml")}

    assert "the environment|" == discovered(deep)
    assert "elsewhere.toml|named" == discovered(deep, **named)
    (tmp_path / "aigateway.toml").write_text("default_model = 'top'", encoding="utf-8")
    assert "aigateway.toml|top" == discovered(deep, **named)
    (tmp_path / "a" / "aigateway.toml").write_text("default_model = 'near'", encoding="utf-8")
    assert "aigateway.toml|near" == discovered(deep)
    assert tmp_path / "a" / "aigateway.toml" == find_file({}, deep)


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """It does not fall back to the environment silently."""
    assert "cannot be read: No such file" in discovered(tmp_path, AI_GATEWAY_CONFIG="absent.toml")


def test_a_mapping_looks_at_no_variable() -> None:
    """Only `env:` references read the environment."""
    settings = load({"default_model": "x"}, environ={"AI_GATEWAY_DEFAULT_MODEL": "y", "AI_GATEWAY_PROT": "1"})

    assert "x" == settings.default_model
    keys = {"providers": {"openai": {"keys": [{"secret": "env:K"}]}}}
    assert ["k"] == revealed(load(keys, environ={"K": "k"}), "openai")


def test_a_dotenv_file_lies_under_the_environment(tmp_path: Path) -> None:
    """Only commands read it; what is set already stays."""
    (tmp_path / ".env").write_text("A=file\nB='two words'\nexport C=3\nEMPTY\n", encoding="utf-8")

    assert {"A": "environment", "B": "two words", "C": "3"} == read_dotenv({"A": "environment"}, tmp_path)
    assert {"A": "x"} == read_dotenv({"A": "x"}, tmp_path / "absent")


def test_settings_can_be_marked_and_extended(tmp_path: Path) -> None:
    """A sandbox says so, and keeps saying so; a guard is added once."""
    settings = as_sandbox(alone(tmp_path, OPENAI_API_KEY="k"))

    assert settings.sandbox
    assert "the sandbox" == settings.origin
    guarded = with_guards(with_guards(settings, "log"), "concurrency", "log")
    assert ["concurrency", "log"] == [guard.use for guard in guarded.guards]
    assert guarded.sandbox


def test_redis_is_used_where_its_plug_in_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """REDIS_URL names the shared state; without the plug-in a warning says that it does nothing."""
    environ = {"REDIS_URL": "redis://:pass-word-1@127.0.0.1:1/0", "GROQ_API_KEY": "k"}
    monkeypatch.setattr("aigateway.config._environment.find_spec", lambda name: object())
    shared = load(environ=environ)
    written = load({"state": {"url": "memory:"}}, environ=environ)
    monkeypatch.setattr("aigateway.config._environment.find_spec", lambda name: None)
    alone = load(environ=environ)

    assert "redis" == shared.state.scheme
    assert "pass-word-1" not in repr(shared)
    assert "memory" == written.state.scheme == alone.state.scheme
    assert any("aigateway-redis is not installed" in warning for warning in alone.warnings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no vendor key was found in the environment", "DEEPSEEK_API_KEY", "try `aigateway demo`"]),
        ("default_model = 'x'", ["aigateway.toml lists no provider", "[providers.deepseek]", "try `aigateway demo`"]),
    ],
)
def test_no_provider_says_both_ways_on(text: str, words: list[str], tmp_path: Path) -> None:
    """A file without providers is not told of variables that do not count beside it."""
    settings = over(text, tmp_path) if text else alone(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        settings.with_providers()

    assert [] == [word for word in words if word not in caught.value.message]
    there = environment_settings({"GROQ_API_KEY": "k"})
    assert there is there.with_providers()


def test_roots_go_beside_client_keys(tmp_path: Path) -> None:
    """Secrets with common names make weekly keys and tokens, and leave what our own variables say."""
    settings = alone(tmp_path, ADMIN_SECRET="a" * 40, JWT_SECRET="j" * 40, AI_GATEWAY_GATEWAY_API_KEY="g")

    assert ["g"] == [key.secret.reveal() for key in settings.callers.keys]
    assert settings.callers.weekly is not None
    assert settings.callers.jwt is not None
    assert [] == settings.callers.roots


def test_a_number_of_workers_is_laid_over(tmp_path: Path) -> None:
    """None leaves what is configured."""
    settings = over("[server]\nworkers = 3", tmp_path)

    assert [3, 5] == [with_workers(settings, number).server.workers for number in (None, 5)]
    assert 3 == settings.server.workers
