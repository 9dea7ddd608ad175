"""The configuration changes while a server is busy: nobody notices but those who asked for it."""

from __future__ import annotations

import gc
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from aigateway import Gateway
from aigateway.asgi import App, create_app
from aigateway.cli._server import Server
from aigateway.cli._standins import sandbox_toml
from aigateway.config import load, with_guards
from aigateway.testing.sandbox import Sandbox

from .test_client_leaves import until

Switch = Callable[[str, str], None]
ADMIN, EDITOR, SECOND = "admin-canary-0123456789", "editor-canary-0123456789", "second-canary-0123456789"
CHAT = {"model": "way", "messages": [{"role": "user", "content": "hi"}]}
MODELS = {
    "deepseek": "deepseek/deepseek-flash",
    "minimax": "minimax/MiniMax-M3",
    "openai": "openai/gpt-5.4-mini",
    "groq": "groq/openai/gpt-oss-120b",
}


class Served:
    """A server over a file that a test writes."""

    def __init__(self, standins: Sandbox, file: Path) -> None:
        self._base = sandbox_toml(standins) + "\n[timeouts]\nfirst_content = 20.0\nsilence = 20.0\n"
        self.file = file
        self.write("openai")
        settings = partial(load, file, environ={})
        guarded: Callable[[], Any] = lambda: with_guards(settings(), "log", "concurrency")  # noqa: E731  # one use
        self.app: App = create_app(Gateway(guarded()), close=True, load=guarded)
        self.url = ""

    def write(self, provider: str, *, keys: str = f'"{ADMIN}" "{EDITOR}"', more: str = "") -> None:
        """Let the route lead to a provider, and let the keys be these: the first one is the operator's."""
        tables = [f'\n[routes.way]\ntargets = ["{MODELS[provider]}"]\n']
        for number, key in enumerate(keys.split()):
            tables.append(f'[[callers.keys]]\nname = "k{number}"\nsecret = {key}\nallow_literal = true\n')
            tables.append("" if number else 'scopes = ["admin", "chat"]\n')
        self.file.write_text(self._base + "".join(tables) + more, encoding="utf-8")

    def post(self, path: str, key: str, body: Any = None) -> httpx2.Response:
        with httpx2.Client(timeout=30) as client:
            return client.post(self.url + path, json=body, headers={"authorization": f"Bearer {key}"})

    def reload(self) -> httpx2.Response:
        return self.post("/admin/reload", ADMIN)

    def provider(self) -> str:
        return self.post("/v1/chat/completions", EDITOR, CHAT).headers["x-aigateway-provider"].rpartition("/")[2]


@pytest.fixture
def served(standins: Sandbox, tmp_path: Path) -> Iterator[Served]:
    """Serve as the command does, in a thread."""
    found = Served(standins, tmp_path / "gateway.toml")
    server = Server(found.app, found.app.gateway.settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive(), 60)
            found.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield found
        finally:
            server.should_exit = True
            thread.join(60)
    assert not thread.is_alive()


def test_no_request_is_dropped(served: Served, switch: Switch, standins: Sandbox) -> None:
    """Reloaded six times under load: all are answered, open streams end where they began, nothing is left behind."""
    switch("openai", "stall:3")
    first = weakref.ref(served.app.gateway)
    answers: list[tuple[int, str]] = []
    over = threading.Event()

    def ask() -> None:
        with httpx2.Client(timeout=30, headers={"authorization": f"Bearer {EDITOR}"}) as client:
            while not over.is_set():
                reply = client.post(f"{served.url}/v1/chat/completions", json=CHAT)
                answers.append((reply.status_code, reply.headers.get("x-aigateway-provider", "")))

    endings: list[tuple[int, list[str]]] = []

    def listen() -> None:
        with (
            httpx2.Client(timeout=60, headers={"authorization": f"Bearer {EDITOR}"}) as client,
            client.stream("POST", f"{served.url}/v1/chat/completions", json={**CHAT, "stream": True}) as reply,
        ):
            endings.append((reply.status_code, [line for line in reply.iter_lines() if line.startswith("data: ")]))

    listeners = [threading.Thread(target=listen) for _ in range(3)]
    for thread in listeners:
        thread.start()
    until(lambda: len(standins.vendors["openai"].requests) == 3, 20)
    served.write("groq")
    replies, went = [served.reload()], [served.provider()]
    askers = [threading.Thread(target=ask) for _ in range(3)]
    for thread in askers:
        thread.start()
    for provider in ("minimax", "deepseek", "groq", "minimax", "deepseek"):
        served.write(provider)
        replies.append(served.reload())
        went.append(served.provider())
    over.set()
    for thread in askers:
        thread.join(60)
    still_open = len(served.app.gateway.lasting.open)
    switch("openai", "none")
    for thread in listeners:
        thread.join(60)
    until(lambda: len(served.app.gateway.lasting.open) == 1, 20)
    until(lambda: gc.collect() >= 0 and first() is None, 20)

    assert [200] * 6 == [reply.status_code for reply in replies]
    assert {"reloaded": True, "warnings": []} == replies[0].json()
    assert ["groq", "minimax", "deepseek", "groq", "minimax", "deepseek"] == went
    assert len(answers) > 5
    assert {200} == {status for status, _ in answers}
    assert not [provider for _, provider in answers if provider.endswith("openai")]
    assert 2 == still_open  # the one with the streams, and the one that serves
    assert [(200, "data: [DONE]")] * 3 == [(status, events[-1]) for status, events in endings]
    assert not [event for _, events in endings for event in events if '"error"' in event]
    assert all(seen.ended for seen in standins.vendors["openai"].requests)


WRONG = {
    "no TOML": ("\n[routes.way", "gateway.toml is not valid TOML"),
    "an unknown setting": ("\n[servr]\nhost = 'x'\n", "gateway.toml, line"),
    "an unknown plug-in": ("\n[[guards]]\nuse = 'rate_limt'\n", "gateway.toml, line 41: no plug-in offers the guard"),
    "a secret that is not there": ("\n[[callers.keys]]\nname = 'x'\nsecret = 'env:NOT_THERE'\n", "NOT_THERE"),
    "a route to nowhere": ("\n[routes.other]\ntargets = ['opnai/x']\n", "Did you mean 'openai'?"),
    "one secret for two": (
        f"\n[[callers.keys]]\nname = 'x'\nsecret = '{EDITOR}'\nallow_literal = true\n",
        "have the same secret",
    ),
    "a guard that refuses": ("\n[[guards]]\nuse = 'rate_limit'\nper = 'nobody'\n", "gateway.toml, line 4"),
    "keys that cannot be": ("\n[callers.weekly]\nroot = 'short'\nallow_literal = true\n", "gateway.toml, line"),
}


def test_what_is_wrong_changes_nothing(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is wrong with the file: 400 that says what and where, one line in the log, and all goes on as before."""
    before, found = served.app.gateway, {}
    for name, (text, _) in WRONG.items():
        served.write("groq", more=text)
        found[name] = served.reload()
    served.file.unlink()
    gone = served.reload()
    provider, now = served.provider(), served.app.gateway
    lines = [record.getMessage() for record in caplog.records if record.name == "aigateway.server"]
    served.write("groq")
    last = served.reload()

    assert dict.fromkeys(WRONG, 400) == {name: reply.status_code for name, reply in found.items()}
    for name, (_, said) in WRONG.items():
        assert said in found[name].json()["error"]["message"], name
        assert "canary" not in found[name].text
    assert 400 == gone.status_code
    assert "openai" == provider
    assert before is now
    assert {now} == set(now.lasting.open) or last.status_code == 200
    assert len(WRONG) + 1 == len([line for line in lines if "was not reloaded" in line])
    assert not [line for line in lines if "canary" in line or "\n" in line.strip()]
    assert (200, "groq") == (last.status_code, served.provider())


def test_client_keys_change_at_once(served: Served) -> None:
    """A key that is new is taken, one that is gone is refused, from the answer to the reload on."""
    before = served.post("/v1/chat/completions", SECOND, CHAT).status_code
    served.write("openai", keys=f'"{ADMIN}" "{SECOND}"')
    served.reload()
    statuses = [served.post("/v1/chat/completions", key, CHAT).status_code for key in (SECOND, EDITOR, ADMIN)]

    assert 401 == before
    assert [200, 401, 200] == statuses


def test_what_needs_a_restart(served: Served) -> None:
    """What a server is started with stays, and the answer says so, with the line; the rest changes."""
    served.write("groq", more="\n[server]\nport = 9\nworkers = 3\n[decisions]\nkeep = 7\n")
    reply = served.reload()
    warnings = reply.json()["warnings"]
    settings = served.app.gateway.settings

    assert ["server.port", "server.workers", "decisions.keep"] == [w.split(": ")[1].split(" ")[0] for w in warnings]
    assert all(warning.startswith("gateway.toml, line ") for warning in warnings)
    assert (8000, 1, 1000) == (settings.server.port, settings.server.workers, settings.decisions.keep)
    assert "groq" == served.provider()


def test_what_is_known_goes_on(served: Served, switch: Switch) -> None:
    """An account that rests goes on resting, decisions are kept, and so are counts."""
    smart = {**CHAT, "model": "smart"}
    switch("deepseek", "no_money")
    first = served.post("/v1/chat/completions", EDITOR, smart)
    switch("deepseek", "none")
    served.write("groq")
    reloaded = served.reload()
    second = served.post("/v1/chat/completions", EDITOR, smart)
    with httpx2.Client(timeout=30, headers={"authorization": f"Bearer {ADMIN}"}) as client:
        keys = {key["provider"]: key for key in client.get(f"{served.url}/admin/keys").json()["keys"]}
        decision = client.get(f"{served.url}/admin/decisions/{first.headers['x-request-id']}")
        seen = client.get(f"{served.url}/ping").json()["requests"]

    assert [200] * 4 == [reply.status_code for reply in (first, reloaded, second, decision)]
    assert ["2", "1"] == [reply.headers["x-aigateway-attempts"] for reply in (first, second)]
    assert ["minimax"] * 2 == [reply.headers["x-aigateway-provider"] for reply in (first, second)]
    assert ("suspended", 1) == (keys["deepseek"]["state"], keys["deepseek"]["uses"])
    assert 2 == keys["minimax"]["uses"]
    assert seen >= 6
