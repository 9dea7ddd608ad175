"""The TOML of the design: what it means, and what is said about what it cannot mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigateway import ConfigurationError, Gateway, Settings
from aigateway.asgi import Who
from aigateway.config import Trees, load, parse, parse_toml
from aigateway.types import Retries, Target, Timeouts

WHOLE = """
default_model = "smart"
unknown_models = "refuse"
fallback = "smart"

[providers.deepseek]
base_url = "https://api.deepseek.com"
keys = [{ secret = "env:DEEPSEEK_API_KEY" }, { secret = "file:ds2", quota_group = "team-b", weight = 2 }]
rotation = "round_robin"

[providers.minimax]
keys = [{ secret = "env:MM" }]

[providers.second]
type = "deepseek"
keys = [{ secret = "plain", allow_literal = true }]

[routes.smart]
policy  = "priority"
targets = ["deepseek/deepseek-flash", { to = "minimax/MiniMax-M3", weight = 2, timeouts = { silence = 5 } }]
timeouts = { first_content = 20 }
recovery = "terminate"

[timeouts]
connect = 4.5
answer = 100

[retries]
attempts = 5
same_target = 2
patience = 1.5

[transport]
kind = "httpx2"

[[guards]]
use = "log"

[[callers.keys]]
name = "editor"
secret = "env:AI_GATEWAY_GATEWAY_API_KEY"
[[callers.keys]]
name = "operator"
secret = "env:AI_GATEWAY_ADMIN_API_KEY"
scopes = ["admin"]

[state]
url = "memory:"

[limits]
max_tokens = 1000

[server]
host = "0.0.0.0"
port = 9000
debug = true
log_requests = false
log_level = "WARNING"
"""
ENVIRON = {
    "DEEPSEEK_API_KEY": "sk-deepseek-secret-1",
    "MM": "mm-secret-2",
    "AI_GATEWAY_GATEWAY_API_KEY": "gw-secret-3",
    "AI_GATEWAY_ADMIN_API_KEY": "gw-secret-4",
}
SECRETS = [*ENVIRON.values(), "file-secret-5", "plain"]


def settings(text: str, folder: Path, environ: dict[str, str] | None = None) -> Settings:
    """Load `text` as a file."""
    (folder / "aigateway.toml").write_text(text, encoding="utf-8")
    return load(folder / "aigateway.toml", environ=environ or {})


def complaint(text: str, folder: Path, environ: dict[str, str] | None = None) -> str:
    """Give what is said about `text`."""
    with pytest.raises(ConfigurationError) as error:
        Gateway(settings(text, folder, environ))
    return error.value.message


@pytest.fixture
def whole(tmp_path: Path) -> Settings:
    """The configuration of the design."""
    (tmp_path / "ds2").write_text("file-secret-5\n", encoding="utf-8")
    (tmp_path / "ds2").chmod(0o600)
    return settings(WHOLE, tmp_path, ENVIRON)


def test_the_whole_file_is_read(whole: Settings) -> None:
    """Every part that this version has arrives where it belongs."""
    first, second = whole.providers["deepseek"].keys

    assert ("smart", "refuse", "smart") == (whole.default_model, whole.unknown_models, whole.fallback)
    assert "https://api.deepseek.com" == whole.providers["deepseek"].base_url
    assert ("sk-deepseek-secret-1", "default", 1) == (first.secret.reveal(), first.quota_group, first.weight)
    assert ("file-secret-5", "team-b", 2) == (second.secret.reveal(), second.quota_group, second.weight)
    assert "plain" == whole.providers["second"].keys[0].secret.reveal()
    assert Retries(5, 2, 1.5) == whole.retries.over(Retries())
    assert "httpx2" == whole.transport.kind
    assert ["log"] == [guard.use for guard in whole.guards]
    assert [("editor", ["chat"]), ("operator", ["admin"])] == [(k.name, k.scopes) for k in whole.callers.keys]
    assert ("0.0.0.0", 9000, True, False, "WARNING") == (
        whole.server.host,
        whole.server.port,
        whole.server.debug,
        whole.server.log_requests,
        whole.server.log_level,
    )
    assert 1000 == whole.limits.max_tokens
    assert ("aigateway.toml", []) == (whole.origin, whole.warnings)
    assert not whole.sandbox


def test_timeouts_are_inherited(whole: Settings) -> None:
    """The target's own over the route's over the gateway's over the defaults."""
    base = whole.timeouts.over(Timeouts())
    one, two = Trees(whole, {name: {} for name in whole.providers}, base).tree("smart").members

    assert Timeouts(connect=4.5, answer=100) == base
    assert Target("deepseek", "deepseek-flash", timeouts=Timeouts(4.5, 20, 30, 100, 600)) == one
    assert Target("minimax", "MiniMax-M3", 2, Timeouts(4.5, 20, 5, 100, 600)) == two


def test_a_gateway_is_built_of_it(whole: Settings) -> None:
    """A second account of a vendor is a provider of its own."""
    made = Gateway(whole)

    assert ["deepseek", "minimax", "second"] == list(made.parts.providers)
    assert "second" == made.parts.providers["second"].name
    assert 2 == len(made.parts.rings["deepseek"].keys)


def test_settings_show_no_secret(whole: Settings) -> None:
    """However they are printed; the refusal of a JSON dump shows none either."""
    shown = [
        repr(whole),
        str(whole),
        repr(whole.model_dump()),
        f"{whole!r}",
        repr(whole.providers),
        repr(whole.callers),
    ]
    try:
        shown.append(whole.model_dump_json())
    except Exception as error:  # a refusal is fine, a leak is not
        shown.append(repr(error))

    assert [] == [secret for secret in SECRETS if any(secret in text for text in shown) and secret != "plain"]
    assert whole.providers["minimax"].keys[0].secret.id in repr(whole)


def test_the_context_shows_no_secret(whole: Settings) -> None:
    """What the settings were read with holds the whole environment, and does not print it."""
    shown = f"{whole.context!r} {whole.context}"

    assert [] == [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize(
    ("text", "line", "path", "hint"),
    [
        ('defualt_model = "x"', 1, "defualt_model", "'default_model'"),
        ("\n\n[retires]\nattempts = 3", 3, "retires", "'retries'"),
        ("[retries]\nattempts = 3\nsame_traget = 1", 3, "retries.same_traget", "'same_target'"),
        ("[timeouts]\n# a comment\nsilense = 3.0", 3, "timeouts.silense", "'silence'"),
        ("server.prot = 1", 1, "server.prot", "'port'"),
        ('default_model = "x"\nserver . "prot" = 1', 2, "server.prot", "'port'"),
        ("server = { host = 'x', prot = 1 }", 1, "server.prot", "'port'"),
        ('[routes.r]\ntargets = ["a/b"]\npolcy = "priority"', 3, "routes.r.polcy", "'policy'"),
        ('[routes."my route"]\ntargets = ["a/b"]\npolcy = "x"', 3, "routes.my route.polcy", "'policy'"),
        (
            "[routes.r]\ntargets = [\n  'a/b',\n  { to = 'a/b', wieght = 2 },\n]",
            2,
            "routes.r.targets[1].wieght",
            "'weight'",
        ),
        ("[routes.r]\ntargets = ['a/b']\ntimeouts = { silense = 1 }", 3, "routes.r.timeouts.silense", "'silence'"),
        (
            "[[callers.keys]]\nname = 'a'\nsecret = 'env:A'\n\n[[callers.keys]]\nnmae = 'b'",
            6,
            "callers.keys[1].nmae",
            "'name'",
        ),
        ("[callers]\nkey = []", 2, "callers.key", "'keys'"),
        ("[providers.echo]\ncolour = 1", 2, "providers.echo.colour", "Valid here"),
        ("[providers.echo]\nkeys = [{ secert = 'env:A' }]", 2, "providers.echo.keys[0].secert", "'secret'"),
        (
            "[[guards]]\nuse = 'log'\n[[guards]]\nuse = 'log'\nlevle = 1",
            5,
            "guards[1].levle",
            "Valid here: responses, use",
        ),
        ("[transport]\nkin = 'auto'", 2, "transport.kin", "'kind'"),
        ("[limits]\nmax_token = 1", 2, "limits.max_token", "'max_tokens'"),
        ("[callers.weekly]\nrooot = 'env:A'", 2, "callers.weekly.rooot", "'root'"),
        ("[routes.r]\ntargets = ['a/b']\nhedge = { quantil = 0.9 }", 3, "routes.r.hedge.quantil", "'quantile'"),
        ("[state]\nurll = 'memory:'", 2, "state.urll", "'url'"),
        ("['server']\n'prot' = 1", 2, "server.prot", "'port'"),
        ("[ server ] # here\nprot = 1 # there", 2, "server.prot", "'port'"),
        ("\r\n[server]\r\nprot = 1\r\n", 3, "server.prot", "'port'"),
        ("[zzzzzz]\nx = 1", 1, "zzzzzz", "Valid here: callers, decisions, default_model"),
    ],
)
def test_unknown_settings_name_the_nearest_and_the_line(
    text: str, line: int, path: str, hint: str, tmp_path: Path
) -> None:
    """At every level, however TOML lets it be written."""
    message = complaint(text, tmp_path, {"A": "x"})

    assert f"aigateway.toml, line {line}: {path} is not a setting" in message
    assert hint in message


@pytest.mark.parametrize(
    ("text", "line", "path"),
    [
        ("[server]\nport = 'x'", 2, "server.port"),
        ("[server]\nport = 70000", 2, "server.port"),
        ("[server]\nport = 80.0", 2, "server.port"),
        ("[server]\ndebug = 'yes'", 2, "server.debug"),
        ("[retries]\nattempts = 0", 2, "retries.attempts"),
        ("[retries]\nattempts = 21", 2, "retries.attempts"),
        ("[retries]\npatience = inf", 2, "retries.patience"),
        ("[timeouts]\ntotal = 0", 2, "timeouts.total"),
        ("[timeouts]\ntotal = -1.5", 2, "timeouts.total"),
        ("[timeouts]\ntotal = nan", 2, "timeouts.total"),
        ("[timeouts]\ntotal = '60'", 2, "timeouts.total"),
        ("unknown_models = 'guess'", 1, "unknown_models"),
        ("[routes.r]\ntargets = []", 2, "routes.r.targets"),
        ("[routes.r]\ntargets = 'a/b'", 2, "routes.r.targets"),
        ("[routes.r]\ntargets = [3]", 2, "routes.r.targets[0]"),
        ("[routes.r]\ntargets = ['']", 2, "routes.r.targets[0].to"),
        ("[routes.r]\npolicy = ''\ntargets = ['a/b']", 2, "routes.r.policy"),
        ("[routes.r]\npolicy = 'priority'", 1, "routes.r.targets"),
        ("[providers.echo]\nkeys = [{ quota_group = 'x' }]", 2, "providers.echo.keys[0].secret"),
        ("[providers.echo]\nkeys = 'env:A'", 2, "providers.echo.keys"),
        ("[providers]\necho = 3", 2, "providers.echo"),
        ("[transport]\nkind = 'curl'", 2, "transport.kind"),
        ("[[callers.keys]]\nname = ''\nsecret = 'env:A'", 2, "callers.keys[0].name"),
        ("[[callers.keys]]\nname = 'stored:a'\nsecret = 'env:A'", 2, "callers.keys[0].name"),
        ("[[callers.keys]]\nname = 'a'\nsecret = 'env:A'\nscopes = ['root']", 4, "callers.keys[0].scopes[0]"),
        ("[[guards]]\nlevel = 1", 1, "guards[0].use"),
        ("guards = 3", 1, "guards"),
        ("[state]\nurl = 7", 2, "state.url"),
        ("[state]\nurl = 'nowhere'", 2, "state.url"),
        ("[providers.echo]\nbase_url = 'api.example'", 2, "providers.echo.base_url"),
        ("[providers.echo]\nkeys = [{ secret = 7 }]", 2, "providers.echo.keys[0].secret"),
        ("[[callers.keys]]\nname = 'a'\nsecret = 'env:A'\nexpires = 7", 4, "callers.keys[0].expires"),
        ("[[callers.keys]]\nname = 'a'\nsecret = 'env:A'\nexpires = 'soon'", 4, "callers.keys[0].expires"),
        ("[callers]\nstore = 'callers.json'", 2, "callers.store"),
        ("[routes.r]\ntargets = ['a/b']\nhold = 5", 1, "routes.r"),
        ("server = 3", 1, "server"),
        ("callers = 3", 1, "callers"),
    ],
)
def test_wrong_values_name_their_place(text: str, line: int, path: str, tmp_path: Path) -> None:
    """The file, the line, the setting, and what it should be."""
    message = complaint(text, tmp_path, {"A": "x"})

    assert message.startswith(f"aigateway.toml, line {line}: {path}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[callers.keys]\nname = 'a'\nsecret = 'env:A'", "must be a list. Write [[callers.keys]] above each one"),
        ("[callers.keys.editor]\nsecret = 'env:A'", "must be a list. Write [[callers.keys]] above each one"),
        ("[guards]\nuse = 'log'", "must be a list. Write [[guards]] above each one"),
        ("[[server]]\nport = 1", "must be a table. Write [server], with one bracket"),
        ("[providers.echo]\nkeys = ['env:A']", 'must be a table, such as { secret = "env:NAME" }'),
    ],
)
def test_mixed_up_brackets_are_explained(text: str, words: str, tmp_path: Path) -> None:
    """A table where a list of them belongs, and the other way round: what to write stands there."""
    assert words in complaint(text, tmp_path, {"A": "x"})


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[[callers.keys]]\nname = 'e'\nsecret = 'env:A'\nnetworks = ['10.0.0.0/99']", 1, "of 'e': '10.0.0.0/99'"),
        ("[callers]\nstore = 'db:x'\nroots = ['env:A']", 2, "no plug-in offers the callers 'db'"),
        ("[callers.jwt]\nsecret = 'env:A'", 1, "shorter than 32 bytes"),
    ],
)
def test_what_is_wrong_with_client_keys_names_one_place(text: str, place: int, words: str, tmp_path: Path) -> None:
    """Once, whichever part found it."""
    made = Gateway(settings("[providers.echo]\n" + text, tmp_path, {"A": "short"}))
    with pytest.raises(ConfigurationError) as error:
        Who(made)

    assert error.value.message.startswith(f"aigateway.toml, line {place + 1}: ")
    assert 1 == error.value.message.count("aigateway.toml, line")
    assert words in error.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server\n", "not valid TOML at line 1, column 8"),
        ("a = \n", "not valid TOML at line 1"),
        ("x = 1\nx = 2\ny = 3", "not valid TOML at line 2"),
        ('x = "abc', "not valid TOML at"),
        ("x = 1\ny = [1,\n2\n", "not valid TOML at its end: Unclosed array. The [ of line 2 is never closed."),
        ("a = [1]\nx = { b = [\n", "at its end: Invalid value. The [ of line 2 is never closed."),
        ('a = "]"\nx = [ # [\n  "\\"[", \'{\', """[\n[""",\n', "The [ of line 2 is never closed."),
        ('x = 1\ny = """abc\nd\n', 'The """ of line 2 is never closed.'),
        ("y = '''abc", "The ''' of line 1 is never closed."),
        ("a = [\n  1,\n[b]\nc = 2\n", "line 3, column 2: Invalid value. The [ of line 1 is still open there."),
        ("a = [\n  1,\nb = 2\n", "line 3, column 1: Invalid value. The [ of line 1 is still open there."),
    ],
)
def test_broken_toml_names_the_line(text: str, words: str, tmp_path: Path) -> None:
    """One sentence with line and column; where something was left open, the line it begins on."""
    assert words in complaint(text, tmp_path)


@given(st.text(alphabet="ab=[]{}\"'\\#,.\n 1", max_size=60))
def test_any_broken_toml_is_explained(text: str) -> None:
    """Whatever it is, it is read or refused in one line."""
    try:
        parse_toml(text, "it")
    except ConfigurationError as error:
        assert "\n" not in error.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, not UTF-8."""
    (tmp_path / "bad.toml").write_bytes(b"x = '\xff'")
    for name, reason in [("absent.toml", "No such file"), (".", "directory"), ("bad.toml", "not UTF-8")]:
        with pytest.raises(ConfigurationError, match=reason):
            load(tmp_path / name, environ={})


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("env:NOT_SET", "environment variable NOT_SET is not set"),
        ("file:absent", "cannot be read"),
        ("sk-literal-secret", "env:NAME"),
        ("sk-literal:secret", "env:NAME"),
    ],
)
def test_a_secret_that_cannot_be_read_stops_the_start(secret: str, words: str, tmp_path: Path) -> None:
    """With its line, and never shown."""
    message = complaint(f"[providers.echo]\nkeys = [{{ secret = '{secret}' }}]", tmp_path)

    assert message.startswith("aigateway.toml, line 2: providers.echo.keys[0].secret: ")
    assert words in message
    assert "sk-literal" not in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[routes.r]\ntargets = ['echo/x']\nfallback = 'r'",
            "fallback stands at the top of the file, before every table.",
        ),
        ("[server]\ndefault_model = 'r'", "default_model stands at the top of the file, before every table."),
        (
            "[routes.r]\ntargets = ['echo/x']\nmax_price = 1",
            "It is for one request to say, in its own 'routing'. Valid",
        ),
        ("[routes.r]\ntargets = ['echo/x']\nsort = 'price'", "It is for one request to say, in its own 'routing'."),
    ],
)
def test_what_stands_in_the_wrong_table_is_sent_home(text: str, words: str, tmp_path: Path) -> None:
    """A name that means something elsewhere is no misspelling."""
    assert words in complaint(f"[providers.echo]\n{text}", tmp_path)


def test_all_variables_that_are_not_set_are_named_at_once(tmp_path: Path) -> None:
    """Each once, with their lines; what else is wrong comes after them, a misspelt setting before."""
    lines = [
        "[providers.deepseek]",
        "keys = [{ secret = 'env:ONE' }, { secret = 'env:SET' }, { secret = 'env:TWO' }]",
        "[providers.groq]",
        "keys = [{ secret = 'env:ONE' }]",
        "[[callers.keys]]",
        "name = 'a'",
        "secret = 'env:THREE'",
    ]
    said = "aigateway.toml, lines 2, 4 and 7: the environment variables ONE, TWO and THREE are not set or empty. "
    (tmp_path / "aigateway.toml").write_text("\n".join(lines))
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path / "aigateway.toml", environ={"SET": "sk-x"})

    assert said + "Set them, or remove what names them." == error.value.message
    assert "is not a setting" in complaint("\n".join([*lines, "secrte = 1"]), tmp_path)


def test_many_variables_that_are_not_set_are_counted(tmp_path: Path) -> None:
    """The line stays short however many there are."""
    keys = ", ".join(f"{{ secret = 'env:NUMBER_{number}' }}" for number in range(40))
    message = complaint(f"[providers.echo]\nkeys = [{keys}]", tmp_path)

    assert message.startswith("aigateway.toml, line 2: the environment variables NUMBER_0, NUMBER_1, ")
    assert "and 32 more are not set" in message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "has no name"),
        (" ", "begins or ends with a space"),
        ("smart ", "begins or ends with a space"),
        ("a  b", "holds two spaces in a row"),
        ("a\\tb", "holds what cannot be printed"),
        ("a\\u0000", "holds what cannot be printed"),
        ("a\\u00a0b", "holds what cannot be printed"),
        ("a\\u200bb", "holds what cannot be printed"),
        ("cheap:floor", "ends in ':floor', which asks for the cheapest first"),
        ("cheap:nitro", "ends in ':nitro', which asks for the most tokens a second first"),
    ],
)
def test_a_route_nobody_could_ask_for_is_refused(name: str, words: str, tmp_path: Path) -> None:
    """With its line, and what to do; the name is shown so that it can be seen."""
    message = complaint(f'[providers.echo]\n\n[routes."{name}"]\ntargets = ["echo/x"]', tmp_path)

    assert message.startswith("aigateway.toml, line 3: ")
    assert words in message
    assert message.isprintable()


def test_a_route_may_be_named_as_people_name_models(tmp_path: Path) -> None:
    """Names that other gateways' clients ask for: single spaces, slashes, colons, any script."""
    names = ["GPT 4 (fast)", "a/b", "llama3:8b", "schlau-ö", "模型", ":floor"]
    text = "".join(f'[routes."{name}"]\ntargets = ["echo/x"]\n' for name in names)
    (tmp_path / "aigateway.toml").write_text(f"[providers.echo]\n{text}", encoding="utf-8")

    assert names == list(load(tmp_path / "aigateway.toml", environ={}).routes)


def test_a_place_nobody_offers_stops_the_start(tmp_path: Path) -> None:
    """A secret that begins with an unknown scheme names the scheme and nothing that follows it."""
    message = complaint("[providers.echo]\nkeys = [{ secret = 'vault:hidden-path' }]", tmp_path)

    assert message.startswith("aigateway.toml, line 2: a secret begins with vault:")
    assert "env:NAME" in message
    assert "hidden-path" not in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[routes.r]\ntargets = ['deepsek/x']\n[providers.echo]",
            "line 2: routes.r has the target 'deepsek/x', but no provider",
        ),
        (
            "fallback = 'smrt'\n[routes.smart]\ntargets = ['echo/echo']\n[providers.echo]",
            "line 1: fallback names the route 'smrt', which does not exist. Did you mean 'smart'?",
        ),
        ("[routes.r]\ntargets = ['nowhere']\n[providers.echo]", "line 2: routes.r has the target 'nowhere'"),
        ("[providers.deepseek]", "line 1: the provider 'deepseek' has no key"),
        ("[providers.deepsek]", "Did you mean 'deepseek'?"),
        ("[[guards]]\nuse = 'lgo'", "Did you mean 'log'?"),
    ],
)
def test_names_that_point_at_nothing_are_refused(text: str, words: str, tmp_path: Path) -> None:
    """Providers of targets, the fallback's route, plug-ins, keys."""
    assert words in complaint(text, tmp_path)


def test_a_target_without_provider_is_looked_up(tmp_path: Path) -> None:
    """A catalogue id finds its owner."""
    made = Gateway(settings("[providers.echo]\n[routes.r]\ntargets = ['echo']", tmp_path))

    assert ["echo/echo"] == [str(target) for target in made.parts.names.routes["r"]]


def test_text_inside_a_value_is_no_setting(tmp_path: Path) -> None:
    """A line of a multi-line text that looks like a header or an assignment does not mislead."""
    text = 'default_model = """\n[server]\nprot = 1\n"""\n[server]\nhost = "x"\nprot = 2'

    assert "aigateway.toml, line 7: server.prot" in complaint(text, tmp_path)


def test_a_mapping_has_no_lines() -> None:
    """The same words without a line."""
    with pytest.raises(
        ConfigurationError, match=r"the given settings: server\.prot is not a setting. Did you mean 'port'"
    ):
        parse({"server": {"prot": 1}})


def test_settings_do_not_change(whole: Settings) -> None:
    """They are frozen."""
    with pytest.raises(ValueError, match="frozen"):
        whole.default_model = "x"
