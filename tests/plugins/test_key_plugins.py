"""Orders of vendor keys, places of secrets and places of client keys, offered by plug-ins and used to the end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aigateway import Gateway
from aigateway.asgi import create_app
from aigateway.callers import Grant, Peppers, new_key
from aigateway.errors import ConfigurationError
from aigateway.keys import KeyView, Turn
from aigateway.plugins import CallersRecord, Registry, RotationRecord, SecretsRecord, hookimpl
from aigateway.secrets import Secret

from ..flows.keyed_vendor import Vendor, vendor_running

KEYS = ("vendor-key-canary-aaaa", "vendor-key-canary-bbbb", "vendor-key-canary-cccc")
VAULT = {
    "a": KEYS[0],
    "b": KEYS[1],
    "editor": "client-key-canary-0000",
    "operator": "client-key-canary-1111",
    "root": "root-canary-0123456789-0123456789-0123",
    "empty": "",
    "blank": " \n",
    "padded": f" {KEYS[0]}\n",
}


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with vendor_running() as found:
        found.good = set(KEYS)
        yield found


class Parts:
    """A plug-in that offers a rotation, a vault and a ledger of client keys."""

    def __init__(
        self,
        order: Callable[[Sequence[KeyView], Turn], Any] | None = None,
        read: Callable[[str], Any] = VAULT.__getitem__,
        ledger: Callable[[str], Any] | None = None,
    ) -> None:
        self.order = order or (lambda keys, turn: list(reversed(keys)))
        self.asked: list[str] = []
        self.read = read
        self.grants: dict[str, Grant] = {}
        self.ledger = ledger or (lambda rest: self)

    @hookimpl
    def aigateway_keys(self) -> Iterator[RotationRecord]:
        order = self.order
        yield RotationRecord("nights", lambda: type("Nights", (), {"order": staticmethod(order)})())

    @hookimpl
    def aigateway_secrets(self) -> Iterator[SecretsRecord]:
        yield SecretsRecord("vault", self._read)

    @hookimpl
    def aigateway_callers(self) -> Iterator[CallersRecord]:
        yield CallersRecord("ledger", self.ledger)

    def _read(self, reference: str) -> Any:
        self.asked.append(reference)
        return self.read(reference)

    async def find(self, digest: str) -> Grant | None:
        return self.grants.get(digest)

    async def moved(self, old: str, new: str) -> None:
        self.grants[new] = self.grants.pop(old)


def literal(*keys: str) -> list[dict[str, Any]]:
    return [{"secret": key, "allow_literal": True, "quota_group": key} for key in keys]


def gateway(vendor: Vendor | None, parts: Parts, keys: list[dict[str, Any]], **tables: Any) -> Gateway:
    registry = Registry()
    registry.register(parts, "parts")
    url = vendor.url if vendor else "http://127.0.0.1:9/v1"
    provider = {"type": "openai", "base_url": url, "keys": keys, **tables.pop("provider", {})}
    return Gateway.from_config({"default_model": "v/m1", "providers": {"v": provider}, **tables}, registry=registry)


# -- rotations --------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_rotation(vendor: Vendor) -> None:
    """The order a plug-in gives is the order keys are used in, the next one after a refusal too."""
    vendor.good = {KEYS[1], KEYS[0]}
    async with gateway(vendor, Parts(), literal(*KEYS), provider={"rotation": "nights"}) as found:
        texts = [(await found.chat("v/m1", "hi")).text for _ in range(3)]

    assert ["bbbb"] * 3 == texts
    assert [KEYS[2]] == vendor.used(401)


def _raises(keys: Sequence[KeyView], turn: Turn) -> Any:
    raise ValueError("canary")


@pytest.mark.parametrize(
    ("order", "lines"),
    [
        (_raises, 1),
        (lambda keys, turn: None, 1),
        (lambda keys, turn: [7], 1),
        (lambda keys, turn: [], 0),
        (lambda keys, turn: keys[1:], 0),
        (lambda keys, turn: [*keys, *keys], 0),
    ],
    ids=["raises", "none", "garbage", "empty", "too few", "twice"],
)
@pytest.mark.anyio
async def test_a_rotation_that_breaks(
    vendor: Vendor, order: Callable[..., Any], lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it gives, no request is lost and no key left out; it is said once."""
    vendor.good = {KEYS[0]}
    async with gateway(vendor, Parts(order), literal(*KEYS), provider={"rotation": "nights"}) as found:
        texts = [(await found.chat("v/m1", "hi")).text for _ in range(4)]

    assert ["aaaa"] * 4 == texts
    assert lines == sum("the rotation of v failed" in record.getMessage() for record in caplog.records)
    assert "canary" not in caplog.text


def test_a_rotation_nobody_offers() -> None:
    """An unknown name stops the start, with the nearest one."""
    with pytest.raises(ConfigurationError, match=r"no plug-in offers the rotation 'night'. Did you mean 'nights'"):
        gateway(None, Parts(), literal(*KEYS), provider={"rotation": "night"})


# -- secrets ----------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_vault(vendor: Vendor) -> None:
    """Vendor keys from a plug-in are read once each and sent; nothing shows them."""
    parts = Parts()
    async with gateway(vendor, parts, [{"secret": "vault:a"}, {"secret": "vault:b"}]) as found:
        texts = {(await found.chat("v/m1", "hi")).text for _ in range(4)}
        shown = f"{found.settings!r} {found.settings.model_dump()} {found.vendor_keys()} {found.parts!r}"

    assert {"aaaa", "bbbb"} == texts
    assert ["a", "b"] == parts.asked
    assert "canary" not in shown


@pytest.mark.anyio
async def test_a_vault_that_pads(vendor: Vendor) -> None:
    """A line break at the end of what a plug-in read is none of the key, as with files."""
    async with gateway(vendor, Parts(), [{"secret": "vault:padded"}]) as found:
        assert "aaaa" == (await found.chat("v/m1", "hi")).text


def test_client_keys_from_a_vault(vendor: Vendor) -> None:
    """Several client keys and roots from a plug-in each work; the same secret for two of them is refused."""
    keys = [{"name": name, "secret": f"vault:{name}"} for name in ("editor", "operator")]
    table = {"keys": keys, "weekly": {"root": "vault:root"}}
    app = create_app(gateway(vendor, Parts(), literal(KEYS[0]), callers=table))

    assert [VAULT["editor"], VAULT["operator"]] == [k.secret.reveal() for k in app.gateway.settings.callers.keys]

    twice = {"keys": [{"name": name, "secret": "vault:editor"} for name in ("one", "two")]}
    with pytest.raises(ConfigurationError, match=r"two of callers\.keys have the same secret"):
        create_app(gateway(vendor, Parts(), literal(KEYS[0]), callers=twice))


def _fails(reference: str) -> str:
    raise PermissionError("vault said: canary")


@pytest.mark.parametrize(
    ("secret", "read", "said"),
    [
        ("vault:a", _fails, r"could not read it \(PermissionError\)"),
        ("vault:nothing", VAULT.__getitem__, r"could not read it \(KeyError\)"),
        ("vault:empty", VAULT.__getitem__, "gave nothing"),
        ("vault:blank", VAULT.__getitem__, "gave nothing"),
        ("vault:a", lambda reference: None, "gave nothing"),
        ("vault:a", lambda reference: 7, "gave nothing"),
        ("vault:a", lambda reference: b"canary", "gave nothing"),
        ("vault:a", lambda reference: "two\nlines canary", "not one word of ASCII"),
        ("vaults:canary-reference", VAULT.__getitem__, "no plug-in that works reads"),
    ],
    ids=["refuses", "missing", "empty", "blank", "none", "number", "bytes", "lines", "unknown"],
)
def test_a_vault_that_breaks(secret: str, read: Callable[[str], Any], said: str) -> None:
    """What cannot be read stops the start, and what the plug-in said is not repeated."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        gateway(None, Parts(read=read), [{"secret": secret}])

    assert "canary" not in caught.value.message


# -- client keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ledger", "said"),
    [
        (lambda rest: None, "has no 'find'"),
        (lambda rest: 1 / 0, "ZeroDivisionError"),
        (lambda rest: VAULT["canary"], "KeyError"),
    ],
    ids=["none", "raises", "repeats"],
)
def test_a_ledger_that_breaks(vendor: Vendor, ledger: Callable[[str], Any], said: str) -> None:
    """A place that cannot be opened stops the start, and what it said is not repeated."""
    table = {"store": "ledger:canary-dsn", "roots": ["vault:root"]}
    with pytest.raises(ConfigurationError, match=said) as caught:
        create_app(gateway(vendor, Parts(ledger=ledger), literal(KEYS[0]), callers=table))

    assert "canary" not in caught.value.message


def test_a_ledger_nobody_offers(vendor: Vendor) -> None:
    """An unknown scheme stops the start, with the nearest one."""
    table = {"store": "ledgr:x", "roots": ["vault:root"]}
    with pytest.raises(ConfigurationError, match=r"no plug-in offers the callers 'ledgr'. Did you mean 'ledger'"):
        create_app(gateway(vendor, Parts(), literal(KEYS[0]), callers=table))


# -- installed distributions, a served process ------------------------------------------------

MODULE = """
import json, os
from aigateway.callers import Grant
from aigateway.keys import KeyView
from aigateway.plugins import CallersRecord, RotationRecord, SecretsRecord, hookimpl
from aigateway.types import Caller

FOLDER = os.path.dirname(__file__)

class Nights:
    def order(self, keys, turn):
        return list(reversed(keys))

class Ledger:
    def __init__(self, rest):
        self.path = os.path.join(FOLDER, rest)
    async def find(self, digest):
        found = json.load(open(self.path)).get(digest)
        return found and Grant(Caller(found, tenant=found))
    async def moved(self, old, new):
        pass

@hookimpl
def aigateway_keys():
    yield RotationRecord("nights", Nights)

@hookimpl
def aigateway_secrets():
    yield SecretsRecord("vault", json.load(open(os.path.join(FOLDER, "vault.json"))).__getitem__)

@hookimpl
def aigateway_callers():
    yield CallersRecord("ledger", Ledger)
"""
ENTRIES = "[aigateway]\nrotation.nights = agw_parts\nsecrets.vault = agw_parts\ncallers.ledger = agw_parts\n"
CONFIG = """
default_model = "v/m1"
[providers.v]
type = "openai"
base_url = "{url}"
rotation = "nights"
keys = [{{ secret = "vault:a" }}, {{ secret = "vault:b", quota_group = "two" }}]
[callers]
store = "ledger:ledger.json"
roots = ["vault:root"]
keys = [{{ name = "operator", secret = "vault:operator", scopes = ["admin"] }}]
[callers.weekly]
root = "vault:root"
"""


class Installed:
    """A folder with the plug-in as a distribution of its own, and a configuration that names it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.env = folder, {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(folder)}
        meta = folder / "agw_parts-1.0.dist-info"
        meta.mkdir()
        (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: agw-parts\nVersion: 1.0\n", encoding="utf-8")
        (meta / "entry_points.txt").write_text(ENTRIES, encoding="utf-8")
        (folder / "agw_parts.py").write_text(MODULE, encoding="utf-8")
        (folder / "vault.json").write_text(json.dumps(VAULT), encoding="utf-8")
        (folder / "ledger.json").write_text("{}", encoding="utf-8")
        (folder / "aigateway.toml").write_text(CONFIG.format(url=url), encoding="utf-8")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "aigateway", *words]
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60, check=False
        )

    def serve(self) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.folder / "log"
        command = [sys.executable, "-m", "aigateway", "serve", "--port", "0"]
        with log.open("wb") as sink:
            return subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=sink, stderr=sink), log


@pytest.fixture
def installed(tmp_path: Path, vendor: Vendor) -> Installed:
    return Installed(tmp_path, vendor.url)


def test_installed_and_served(installed: Installed, vendor: Vendor) -> None:
    """All three as one distribution: `serve`, its routes and its log, from the first request to the last."""
    key = new_key()
    ledger = {Peppers([Secret(VAULT["root"])]).digest(key.reveal()): "editor"}
    (installed.folder / "ledger.json").write_text(json.dumps(ledger), encoding="utf-8")
    weekly = installed.run("callers", "current").stdout.strip()
    process, log = installed.serve()
    try:
        url = _url(process, log)
        with httpx2.Client(base_url=url, timeout=20) as client:
            body = {"messages": [{"role": "user", "content": "hi"}]}
            keys = (key.reveal(), VAULT["operator"], weekly, new_key().reveal())
            statuses = [
                client.post("/v1/chat/completions", json=body, headers={"x-api-key": each}).status_code for each in keys
            ]
            listed = client.get("/admin/keys", headers={"x-api-key": VAULT["operator"]})
    finally:
        process.terminate()
        process.wait(20)

    assert [200, 200, 200, 401] == statuses
    assert [KEYS[1]] * 3 == vendor.used()
    assert 2 == len(listed.json()["keys"])
    for text in (listed.text, log.read_text(encoding="utf-8")):
        assert "canary" not in text


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + 30
    while not (found := re.search(r"at (http://[^/]+)/v1", log.read_text(encoding="utf-8"))):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        assert time.monotonic() < end
        time.sleep(0.02)
    return found[1]


def test_commands_with_plug_ins(installed: Installed) -> None:
    """The commands read what plug-ins read; a store they do not keep is said to be the plug-in's."""
    done = {words: installed.run(*words.split()) for words in ("keys list", "check", "plugins", "callers current")}
    store = installed.run("callers", "list")

    assert {0} == {one.returncode for one in done.values()}, [one.stderr for one in done.values()]
    assert "rotation.nights" in done["plugins"].stdout
    assert 3 == store.returncode
    assert "callers.store" in store.stderr
    for one in (*done.values(), store):
        assert "canary" not in one.stdout + one.stderr


def test_roots_from_a_vault(installed: Installed) -> None:
    """`callers new` makes a key under a root a plug-in reads, and `serve` would know it."""
    file = installed.folder / "aigateway.toml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("ledger:ledger.json", "file:callers.json"), encoding="utf-8"
    )
    made, listed = installed.run("callers", "new", "editor"), installed.run("callers", "list")

    assert 0 == made.returncode, made.stderr
    assert made.stdout.startswith("gw_live_")
    assert "editor" in listed.stdout


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise RuntimeError('canary')", "is broken: RuntimeError"),
        ("import not_there_at_all", "is broken: ModuleNotFoundError"),
        (MODULE.replace('"nights"', '"days"'), "it offers no rotation 'nights'"),
        (MODULE.replace("yield RotationRecord(", "yield ("), "yielded tuple, not RotationRecord"),
        (MODULE.replace('("nights", Nights)', '("nights", 7)'), "TypeError"),
        (MODULE.replace('("nights", Nights)', '("nights", dict)'), "has no 'order'"),
    ],
    ids=["raises", "missing", "other name", "tuple", "number", "dict"],
)
def test_a_broken_distribution(installed: Installed, code: str, said: str) -> None:
    """A distribution that is broken stops a start that names it: 3, which one, and why."""
    (installed.folder / "agw_parts.py").write_text(code, encoding="utf-8")
    for words in (("check",), ("serve", "--port", "0")):
        done = installed.run(*words)
        assert 3 == done.returncode, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert 1 == len([line for line in done.stderr.splitlines() if line.startswith("error:")])
