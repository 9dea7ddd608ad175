"""The reference pages name everything there is, and links between Markdown files lead somewhere."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from aigateway import errors
from aigateway.asgi._app import ROUTES
from aigateway.cli import run as command_line
from aigateway.config import VENDORS, Settings
from aigateway.config._environment import CALLERS, PREFIX, READ_ELSEWHERE, SETTINGS
from aigateway.plugins import GuardRecord, ProviderRecord, _hookspecs
from aigateway.providers import Dialect, OpenAICompatible, Options, Rule
from aigateway.providers._models_file import parse_models
from aigateway.testing import load_fixtures, mismatches, play
from aigateway.types import ModelInfo, Price

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "plugins/*/*.md", "changelog.d/*.md")
    for path in ROOT.glob(pattern)
)
COMMANDS = (
    *("serve", "ask", "demo", "sandbox", "models", "plugins", "init", "check", "doctor", "schema"),
    *("explain", "simulate", "reload"),
    *("keys", "callers"),
)
SUBCOMMANDS = (
    *(f"plugins {name}" for name in ("list", "new")),
    *(f"keys {name}" for name in ("list", "verify", "reload", "clear", "rotate")),
    *(f"callers {name}" for name in ("new", "list", "rotate", "revoke", "current")),
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def rows(text: str) -> dict[str, str]:
    """Give the rows of all tables by what their first cell quotes."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| "):
            for name in re.findall(r"`([^`]+)`", line.split("|")[1]):
                found[name] = line
    return found


def section(text: str, heading: str) -> str:
    """Give what stands under a heading, up to the next one."""
    _, found, rest = text.partition(f"\n## {heading}\n")
    assert found, f"there is no heading {heading!r}"
    return re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]


# -- settings -----------------------------------------------------------------------------------

HEADINGS = {
    "Settings": "Top level",
    "ProviderSettings": "`[providers.NAME]`",
    "KeySettings": "`[providers.NAME]`",
    "ModelSettings": '`[models."PROVIDER/ID"]`',
    "PriceSettings": '`[models."PROVIDER/ID"]`',
    "RouteSettings": "`[routes.NAME]`",
    "HedgeSettings": "`[routes.NAME]`",
    "ShadowSettings": "`[routes.NAME]`",
    "WhenSettings": "`[routes.NAME]`",
    "TargetSettings": "`[routes.NAME]`",
    "TimeoutSettings": "`[timeouts]`",
    "RetrySettings": "`[retries]`",
    "TransportSettings": "`[transport]`",
    "LimitSettings": "`[limits]`",
    "GuardSettings": "`[[guards]]`",
    "CallerSettings": "`[callers]`",
    "CallerKey": "`[callers]`",
    "WeeklySettings": "`[callers]`",
    "TokenSettings": "`[callers]`",
    "StateSettings": "`[state]`",
    "DecisionSettings": "`[decisions]`",
    "ServerSettings": "`[server]`",
}


def tables(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Walk a settings model and every model inside it."""
    yield model
    for info in model.model_fields.values():
        for inner in models_in(info.annotation):
            yield from tables(inner)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


@pytest.mark.parametrize("table", sorted(set(tables(Settings)), key=lambda t: t.__name__), ids=lambda t: t.__name__)
def test_every_setting_is_documented(table: type[BaseModel]) -> None:
    """Each setting has a row under its table's heading, with its default where that is a plain value."""
    text = section(page("configuration"), HEADINGS[table.__name__])
    for name, info in table.model_fields.items():
        assert f"`{name}`" in text, f"{table.__name__}.{name} is not documented"
        row = rows(text).get(name)
        if isinstance(info.default, bool | int | float) and row:
            assert f"`{str(info.default).lower()}`" in row, f"{table.__name__}.{name} has another default"


def test_every_variable_is_documented() -> None:
    """Each variable is in the reference and, with a comment above it, in .env.example."""
    names = {PREFIX + name for name in (*SETTINGS, *CALLERS, "CONFIG")}
    names |= {variable for _, variable, _ in VENDORS} | {"PORT", "DEBUG", "LOG_LEVEL", "ADMIN_API_KEY"}
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    given = dict(re.findall(r"^(# .+)\n([A-Z_]+)=", example, re.MULTILINE))

    assert names <= set(re.findall(r"`([A-Z_]+)`", page("configuration")))
    assert names <= set(given.values())
    assert READ_ELSEWHERE <= {name.removeprefix(PREFIX) for name in names}


# -- commands, errors, hooks, routes --------------------------------------------------------------


@pytest.mark.parametrize("command", ["", *COMMANDS, *SUBCOMMANDS])
def test_every_option_is_documented(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What --help shows has a row under its command's heading."""
    assert 0 == command_line([*command.split(), "--help"])
    shown = capsys.readouterr().out
    text = page("command-line")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    heading = next(heading for heading in headings if re.match(f"`aigateway {command}".rstrip() + "[ `]", heading))
    options = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", shown.partition("Options:")[2].partition("Commands:")[0]))

    assert options - {"--help"} <= set(rows(section(text, heading)))
    if not command:
        assert set(COMMANDS) == set(re.findall(r"^  ([a-z]+) ", shown.partition("Commands:")[2], re.MULTILINE))


def test_every_error_is_documented() -> None:
    """Each public error class has a row, a star if the package exports it, and each kind is named."""
    import aigateway

    text = page("errors")
    known = {
        name: value
        for name in errors.__all__
        if isinstance(value := getattr(errors, name), type) and issubclass(value, Exception)
    }

    for name in known:
        assert name in rows(text), f"{name} is not documented"
        assert (name in aigateway.__all__) == (r"\*" in rows(text)[name].split("|")[1])
    assert {str(kind) for kind in errors.Kind} <= set(rows(section(text, "Kinds")))


def test_every_remedy_is_documented() -> None:
    """The table in the explanation says of each kind what the code says."""
    text = (ROOT / "docs/explanation/failover.md").read_text(encoding="utf-8")
    table = rows(section(text, "What may happen next"))
    key = {"no": "no", "any": "any", "other_group": "of another quota group"}
    for kind, remedy in errors.REMEDIES.items():
        again, other_key, target, billed = [cell.strip() for cell in table[str(kind)].split("|")[2:6]]

        assert ("yes" if remedy.again else "no", key[remedy.other_key]) == (again, other_key), kind
        assert remedy.billed == billed, kind
        assert remedy.other_target == (target if target in {"yes", "no"} else "conditional"), kind


def test_every_hook_is_documented() -> None:
    """Each hook has a heading with its arguments, and its records' fields have rows."""
    text = page("hooks")
    hooks = {name: value for name, value in vars(_hookspecs).items() if name.startswith("aigateway_")}
    for name, hook in hooks.items():
        arguments = ", ".join(inspect.signature(hook).parameters)

        assert f"\n## `{name}({arguments})`\n" in text
    for record, heading in ((ProviderRecord, "`aigateway_providers()`"), (GuardRecord, "`aigateway_guards()`")):
        assert set(record.__dataclass_fields__) <= set(rows(section(text, heading)))


def test_every_route_is_documented() -> None:
    """Each route has a row with its methods and its access, and no row has no route."""
    listed = {
        (cells[1].strip(), cells[2].strip().strip("`"), cells[3].strip())
        for line in page("http").splitlines()
        if len(cells := line.split("|")) == 6 and "/" in cells[2]
    }

    assert {(entry.methods, entry.path, entry.access) for entry in ROUTES} == listed


# -- how to write a provider ----------------------------------------------------------------------

GUIDE = (ROOT / "docs/how-to/write-a-provider.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples/your_own_provider"


def shown(language: str) -> list[str]:
    """Give the blocks of one language in the guide."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("language", "name"), [("toml", "pyproject.toml"), ("python", "src/aigateway_yourvendor/__init__.py")]
)
def test_the_guide_shows_the_example(language: str, name: str) -> None:
    """What a reader copies from the page is the example, whole, and not a part that does not build."""
    assert (EXAMPLE / name).read_text(encoding="utf-8") in shown(language)


def test_the_models_of_the_guide_can_be_read() -> None:
    """The sample of models.toml makes a catalogue, and each field a model or a price may have is named."""
    sample = next(block for block in shown("toml") if "[[models]]" in block)
    living, retired = parse_models(tomllib.loads(sample), "yourvendor")
    fields = {"successor_params": "params"}
    named = {fields.get(name, name) for kind in (ModelInfo, Price) for name in kind.__dataclass_fields__}

    assert living.id == retired.successor
    assert named - {"provider"} <= set(re.findall(r"`([a-z_]+)`", section(GUIDE, "The models")))


def test_the_fixture_of_the_guide_can_be_played(tmp_path: Path) -> None:
    """The recorded answer on the page is one, and what it expects comes of it."""
    (tmp_path / "no_credit.json").write_text(shown("json")[0], encoding="utf-8")
    (fixture,) = load_fixtures(tmp_path)
    rules = (Rule(errors.Kind.INSUFFICIENT_FUNDS, status=403, message="credit"),)
    vendor = type("Vendor", (OpenAICompatible,), {"dialect": Dialect(base_url="https://api.example.com", errors=rules)})

    assert [] == mismatches(play(vendor(Options("yourvendor")), fixture), fixture)


# -- samples ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_shown_as_toml_is_toml(path: Path) -> None:
    """Whoever copies a sample can read it: an inline table ends on its line, for one."""
    for sample in re.findall(r"^```toml\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        tomllib.loads(sample)


# -- links --------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """Give the anchors the headings of a file have, as code hosts and MyST make them."""
    headings = HEADING.findall(CODE.sub("", path.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """A relative link names a file that is there, and a heading in it."""
    for link in LINK.findall(CODE.sub("", path.read_text(encoding="utf-8"))):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if ROOT / "src" in target.parents and not (ROOT / "src").exists():
            continue  # the tests run against the wheels, with the sources removed

        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link} has no such heading"
