"""Plug-ins: found without importing, loaded one at a time, and one that breaks breaks alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aigateway.errors import PluginError
from aigateway.guards import LogGuard
from aigateway.plugins import API_VERSION, GuardRecord, Plugin, ProviderRecord, Registry, hookimpl
from aigateway.providers import LocalProvider, Options
from aigateway.types import ModelInfo

OK = """
from aigateway.plugins import ProviderRecord, hookimpl
@hookimpl
def aigateway_providers():
    yield ProviderRecord({name!r}, lambda options: None, needs_key=False)
"""
BROKEN = {
    "import": ("import does_not_exist_here", "ModuleNotFoundError: No module named 'does_not_exist_here'"),
    "exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "syntax": ("def", "SyntaxError"),
    "halfway": (OK.format(name="halfway") + "    raise ValueError('no colour')", "ValueError: no colour"),
    "garbage": (OK.format(name="garbage") + "    yield 'garbage'", "yielded str, not ProviderRecord"),
    "dict": (
        "from aigateway.plugins import hookimpl\n@hookimpl\ndef aigateway_providers(): return [{'name': 'dict'}]",
        "yielded dict, not ProviderRecord",
    ),
    "number": ("from aigateway.plugins import hookimpl\n@hookimpl\ndef aigateway_providers(): return 7", "TypeError"),
    "none": ("from aigateway.plugins import hookimpl\n@hookimpl\ndef aigateway_providers(): return None", "TypeError"),
    "future": ("API_VERSION = 99\n" + OK.format(name="future"), "plug-in API 99, this core has"),
    "version": ("API_VERSION = []\n" + OK.format(name="version"), "TypeError"),
    "signature": (
        OK.format(name="signature").replace("aigateway_providers()", "aigateway_providers(colour)"),
        "PluginValidationError",
    ),
    "typo": (OK.format(name="typo") + "\n@hookimpl\ndef aigateway_provders(): return []", "PluginValidationError"),
}


class Dist(Distribution):
    """Be an installed distribution."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_text(self, filename: str) -> str | None:
        """Give the metadata."""
        return f"Name: {self._name}\nVersion: 1.2\n" if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        """Be nowhere."""
        raise NotImplementedError


def entry(name: str, value: str, dist: str = "") -> EntryPoint:
    point = EntryPoint(name, value, "aigateway")
    vars(point).update(dist=Dist(dist or f"aigateway-{name}"))  # as importlib.metadata does
    return point


class Packages:
    """Write plug-in modules where Python finds them, for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, code: str) -> EntryPoint:
        """Write one and give its entry point."""
        (self.folder / f"agw_{name}.py").write_text(code, encoding="utf-8")
        return entry(name, f"agw_{name}")


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Packages]:
    """A folder on the path, forgotten afterwards."""
    sys.path.insert(0, str(tmp_path))
    yield Packages(tmp_path)
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("agw_")]:
        del sys.modules[name]


def states(registry: Registry) -> dict[str, str]:
    return {plugin.name: plugin.state for plugin in registry.listing()}


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_a_broken_plug_in_breaks_alone(kind: str, packages: Packages) -> None:
    """It is named with its reason; those before and after it work, and so do the built-ins."""
    code, reason = BROKEN[kind]
    entries = [
        packages.write("aaa", OK.format(name="aaa")),
        packages.write(kind, code),
        packages.write("zzz", OK.format(name="zzz")),
    ]
    registry = Registry(entries=entries)
    with pytest.raises(PluginError) as error:
        registry.provider(kind)

    assert kind == error.value.plugin
    assert reason in error.value.message
    assert f"aigateway-{kind} 1.2" in error.value.message
    assert {"aaa": "loaded", kind: "broken", "zzz": "loaded"} == states(registry)
    assert "aaa" == registry.provider("aaa").name
    assert "zzz" == registry.provider("zzz").name
    assert "openai-compatible" == registry.provider("openai-compatible").name
    assert "log" == registry.guard("log").name


def test_all_of_them_at_once(packages: Packages) -> None:
    """Twelve broken plug-ins and one that works: twelve reasons and one provider."""
    entries = [packages.write(name, code) for name, (code, _) in BROKEN.items()]
    listing = Registry(entries=[*entries, packages.write("zzz", OK.format(name="zzz"))]).listing()

    assert {"zzz"} == {plugin.name for plugin in listing if plugin.state == "loaded"}
    assert sorted(plugin.name for plugin in listing) == [plugin.name for plugin in listing]
    for plugin in listing:
        assert plugin.name == "zzz" or BROKEN[plugin.name][1] in plugin.reason, plugin


def test_half_a_plug_in_is_no_plug_in(packages: Packages) -> None:
    """What a plug-in offered before it broke is not used."""
    code = OK.format(name="half") + "\n@hookimpl\ndef aigateway_guards():\n    raise ValueError('x')"
    registry = Registry(entries=[packages.write("half", code)])
    for _ in range(2):
        with pytest.raises(PluginError, match="broken: ValueError: x"):
            registry.provider("half")


def test_a_keyboard_interrupt_is_not_swallowed(packages: Packages) -> None:
    """Ctrl-C during an import ends the program."""
    with pytest.raises(KeyboardInterrupt):
        Registry(entries=[packages.write("slow", "raise KeyboardInterrupt")]).provider("slow")


def test_two_distributions_with_one_name_are_an_error() -> None:
    """It names both, and it is told every time, not once."""
    registry = Registry(entries=[entry("x", "one", "dist-one"), entry("x", "two", "dist-two")])
    for _ in range(2):
        with pytest.raises(PluginError, match="dist-one and dist-two both claim the plug-in name 'x'"):
            registry.provider("x")
    with pytest.raises(PluginError, match="dist-one and dist-two"):
        registry.listing()


def test_two_distributions_with_one_name_and_one_module_are_an_error() -> None:
    """Also when both point to a module of the same name: one of them would be silently unused."""
    registry = Registry(entries=[entry("x", "same", "dist-one"), entry("x", "same", "dist-two")])

    with pytest.raises(PluginError, match="dist-one and dist-two"):
        registry.names()


def test_one_distribution_seen_twice_is_one() -> None:
    """An editable install beside a wheel lists the same entry twice."""
    registry = Registry(entries=[entry("x", "same", "dist"), entry("x", "same", "dist")])

    assert ["openai-compatible", "x"] == registry.names()


def test_two_plug_ins_that_offer_one_provider(packages: Packages) -> None:
    """The second is told who was first; the first works."""
    registry = Registry(
        entries=[packages.write("one", OK.format(name="one")), packages.write("two", OK.format(name="one"))]
    )

    assert {"one": "loaded", "two": "broken"} == states(registry)
    assert ["'one' and 'two' both offer the provider 'one'"] == [
        p.reason.partition(": ")[2] for p in registry.listing() if p.reason
    ]


def test_a_module_with_several_names_is_registered_once(packages: Packages) -> None:
    """One module, two entry points, two providers: both work, in any order."""
    code = """
from aigateway.plugins import ProviderRecord, hookimpl
@hookimpl
def aigateway_providers():
    yield ProviderRecord("left", lambda options: None)
    yield ProviderRecord("right", lambda options: None)
"""
    packages.write("pair", code)
    for order in (("left", "right"), ("right", "left")):
        registry = Registry(entries=[entry("left", "agw_pair", "pair"), entry("right", "agw_pair", "pair")])

        assert list(order) == [registry.provider(name).name for name in order]
        assert {"left": "loaded", "right": "loaded"} == states(registry)


def test_a_plug_in_that_does_not_offer_its_name(packages: Packages) -> None:
    """Installed, loaded, but without what was asked for."""
    registry = Registry(entries=[packages.write("empty", "")])
    with pytest.raises(PluginError, match="offers no provider 'empty'"):
        registry.provider("empty")


def test_guards_are_named_with_their_kind(packages: Packages) -> None:
    """`guard.redact` in the entry point is `redact` in the configuration."""
    code = """
from aigateway.plugins import GuardRecord, hookimpl
@hookimpl
def aigateway_guards():
    yield GuardRecord("redact", dict, settings={"words": 3})
"""
    packages.write("redact", code)
    registry = Registry(entries=[entry("guard.redact", "agw_redact", "redact")])

    assert sorted([*Registry(entries=[]).names("guard"), "redact"]) == registry.names("guard")
    assert {"words": 3} == registry.guard("redact").settings
    with pytest.raises(PluginError):
        registry.provider("redact")


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("provider", "deepsek", "Did you mean 'deepseek'?"),
        ("provider", "zzz", "Installed: deepseek, openai-compatible."),
        ("guard", "lgo", "Did you mean 'log'?"),
    ],
)
def test_unknown_names_suggest_the_nearest(kind: str, name: str, hint: str) -> None:
    """Or list what is there, and say how a plug-in is installed."""
    registry = Registry(entries=[entry("deepseek", "nowhere")])
    with pytest.raises(PluginError, match="no plug-in offers") as error:
        getattr(registry, kind)(name)

    assert hint in error.value.message
    assert name == error.value.plugin


def test_an_allow_list_hides_the_rest(packages: Packages) -> None:
    """Only what is named is found; built-ins are always there; a hidden conflict is none."""
    entries = [
        packages.write("good", OK.format(name="good")),
        packages.write("bad", "raise SystemExit"),
        entry("x", "one", "dist-one"),
        entry("x", "two", "dist-two"),
    ]
    registry = Registry(allow=["good"], entries=entries)

    assert {"good": "loaded"} == states(registry)
    assert "log" == registry.guard("log").name
    with pytest.raises(PluginError):
        registry.provider("bad")
    assert {} == states(Registry(allow=[], entries=entries))


def test_a_plug_in_left_out_by_the_allow_list_is_told_so(packages: Packages) -> None:
    """Installing it again is no help: the error names the list."""
    registry = Registry(allow=["other"], entries=[packages.write("good", OK.format(name="good"))])
    with pytest.raises(PluginError) as error:
        registry.provider("good")

    assert "pip install" not in error.value.message
    assert "plugins" in error.value.message.lower()


def test_nothing_is_imported_until_it_is_named(packages: Packages) -> None:
    """Names are known from metadata; one plug-in is loaded at a time."""
    entries = [packages.write("one", OK.format(name="one")), packages.write("two", OK.format(name="two"))]
    registry = Registry(entries=entries)

    assert ["one", "openai-compatible", "two"] == registry.names()
    assert "agw_one" not in sys.modules
    registry.provider("one")
    assert "agw_one" in sys.modules
    assert "agw_two" not in sys.modules


class Here:
    """Be a plug-in in this program."""

    @hookimpl
    def aigateway_providers(self) -> Iterable[ProviderRecord]:
        """Offer one."""
        yield ProviderRecord("here", lambda options: Nobody(options), needs_key=False)


class Nobody:
    """Answer nothing."""

    operations = frozenset({"chat"})

    def __init__(self, options: Options) -> None:
        self.name = options.name

    def models(self) -> tuple[ModelInfo, ...]:
        """List nothing."""
        return ()

    async def answer(self, request: Any, target: Any) -> Any:
        """Fail."""
        raise NotImplementedError


def test_a_program_registers_its_own() -> None:
    """An object or a module, without any distribution."""
    registry = Registry(entries=[])
    registry.register(Here(), "here")

    assert isinstance(registry.provider("here").factory(Options("here")), LocalProvider)
    assert ["here", "openai-compatible"] == registry.names()


def test_a_program_that_registers_nonsense_is_told() -> None:
    """The error is raised where the mistake is made, and the registry still works."""
    registry = Registry(entries=[])
    wrong = ModuleType("wrong")
    wrong.aigateway_providers = hookimpl(lambda: [7])  # type: ignore[attr-defined]  # a module made by hand
    with pytest.raises(TypeError, match="yielded int"):
        registry.register(wrong, "wrong")
    registry.register(Here(), "here")

    assert "here" == registry.provider("here").name


def test_registries_share_nothing() -> None:
    """What one gateway knows another does not."""
    Registry(entries=[]).register(Here(), "here")
    with pytest.raises(PluginError):
        Registry(entries=[]).provider("here")


def test_records_are_frozen() -> None:
    """What a hook yields is not changed afterwards."""
    for record in (ProviderRecord("x", Nobody), GuardRecord("x", LogGuard.from_options)):
        with pytest.raises(AttributeError):
            record.name = "y"  # type: ignore[misc]  # the assignment is the test


def test_our_own_plug_ins_are_found() -> None:
    """The distributions of this repository load, each for this API version."""
    listing = {plugin.name: plugin for plugin in Registry().listing()}

    for name in ("deepseek", "minimax", "openai", "groq", "echo"):
        assert ("loaded", "") == (listing[name].state, listing[name].reason)
        assert f"aigateway-{name}" == listing[name].distribution
    assert 1 == API_VERSION
    assert "found" == Plugin("x", "y", "1").state
