"""What `doctor` looks at on this machine: Python, plug-ins, trust, files, the port, how many files may be open."""

from __future__ import annotations

import os
import platform
import socket
import ssl
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

from .. import __version__
from ..config import Settings
from ..plugins import Registry
from ..secrets import Secret, place

__all__ = ["Symptom", "files", "machine", "plugins", "port", "trust"]

# Open files that 2,000 streams need, each with a connection to its client and one to its vendor.
ENOUGH_FILES = 4_200
OTHERS_READ, OTHERS_WRITE = stat.S_IRGRP | stat.S_IROTH, stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Symptom:
    """Say how one thing is: `ok`, worth a `look`, or `bad`, with what to do about it.

    `code` is the exit code a bad one asks for.
    """

    name: str
    state: Literal["ok", "look", "bad"]
    says: str
    fix: str = ""
    code: int = 1

    def as_data(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "code" and value}


def machine() -> Iterator[Symptom]:
    """Look at Python, the platform, what is installed for serving, and the limit of open files."""
    python = (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    yield Symptom("python", "ok" if sys.version_info >= (3, 11) else "bad", f"aigateway {__version__}, {python}")
    missing = [name for name in ("starlette", "uvicorn", "aiohttp") if find_spec(name) is None]
    if missing:
        yield Symptom(
            "server", "look", f"not installed: {', '.join(missing)}", "To serve: pip install 'aigateway[server]'"
        )
    else:
        yield Symptom("server", "ok", "starlette, uvicorn and aiohttp are installed")
    yield from _open_files()


def _open_files() -> Iterator[Symptom]:
    if os.name != "posix":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    says = "any number of files may be open" if soft == resource.RLIM_INFINITY else f"{soft:,} files may be open"
    if soft != resource.RLIM_INFINITY and soft < ENOUGH_FILES:
        more = f"ulimit -n {min(hard, 65_536) if hard > 0 else 65_536}"
        yield Symptom("open files", "look", f"{says}, enough for some {soft // 2:,} streams", f"For more: {more}")
    else:
        yield Symptom("open files", "ok", says)


def plugins(registry: Registry) -> Iterator[Symptom]:
    """Load every plug-in; name the broken ones."""
    listing = registry.listing()
    for plugin in listing:
        if plugin.state == "broken":
            what = f"{plugin.name} ({plugin.distribution} {plugin.version}) is broken: {plugin.reason}"
            yield Symptom("plug-ins", "look", what, f"Reinstall or remove {plugin.distribution}")
    works = [plugin.name for plugin in listing if plugin.state != "broken"]
    state: Literal["ok", "look"] = "ok" if works else "look"
    yield Symptom(
        "plug-ins", state, ", ".join(works) or "none is installed", "" if works else "pip install aigateway-groq"
    )


def trust() -> Iterator[Symptom]:
    """Look at which authorities are trusted, and whether a proxy stands between."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = os.environ.get(name)
        if path and not Path(path).exists():
            yield Symptom("trust", "bad", f"{name} names {path}, which is not there", f"Correct {name}, or unset it")
            return
    try:
        context = ssl.create_default_context()
    except (ssl.SSLError, OSError) as error:
        yield Symptom("trust", "bad", f"the trusted authorities cannot be read ({type(error).__name__})", _CERTIFICATES)
        return
    paths = ssl.get_default_verify_paths()
    where = paths.cafile or paths.capath
    if where or context.cert_store_stats()["x509_ca"]:
        yield Symptom("trust", "ok", f"authorities from {where or 'the system'}")
    else:
        yield Symptom("trust", "look", "no authorities were found", _CERTIFICATES)
    for scheme, proxy in getproxies().items():
        if scheme in {"https", "http"}:
            yield Symptom("proxy", "ok", f"{scheme} goes through {urlsplit(proxy).hostname or 'a proxy'}")


_CERTIFICATES = "Install ca-certificates, or name a file of authorities: SSL_CERT_FILE=/path/to/ca.pem"


def files(settings: Settings) -> Iterator[Symptom]:
    """Look at who else can read or write what secrets and client keys stand in."""
    looked = dict(_kept(settings))
    strangers = 0
    for path, name in looked.items():
        mode = _mode(path)
        if mode is None:
            continue
        if mode & stat.S_IWOTH:
            strangers += 1
            yield Symptom("files", "bad", f"everybody on this machine can write {name} {path}", f"chmod 600 {path}")
        elif mode & OTHERS_READ or mode & OTHERS_WRITE:
            strangers += 1
            yield Symptom("files", "look", f"others can read or write {name} {path} ({mode:o})", f"chmod 600 {path}")
    if not strangers:
        there = sum(_mode(path) is not None for path in looked)
        yield Symptom("files", "ok", f"{there} file(s) with secrets or keys, nobody else's to read")


def _kept(settings: Settings) -> Iterator[tuple[Path, str]]:
    """Give each file that holds something secret, and what that is."""
    yield Path(".env").resolve(), "the secrets in"
    base = settings.context.base
    for secret in _secrets(settings):
        if not secret.source and base is not None:  # written into the file itself
            yield (base / settings.origin).resolve(), "the secrets in"
        kind, _, path = secret.source.partition(":")
        if kind == "file" and not Path(path).resolve().is_relative_to("/run/secrets"):
            yield Path(path).resolve(), "the secret in"
    for what, where in (("client keys", settings.callers.store or ""), ("state", settings.state.url.reveal())):
        kind, _, path = where.partition(":")
        if kind == "file":
            yield place(Path(path), settings.context.base).resolve(), f"the {what} in"


def _secrets(settings: Settings) -> Iterator[Secret]:
    callers = settings.callers
    for provider in settings.providers.values():
        yield from (key.secret for key in provider.keys)
    yield from (key.secret for key in callers.keys)
    yield from callers.roots
    yield from filter(None, (callers.weekly and callers.weekly.root, callers.jwt and callers.jwt.secret))


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode) if os.name == "posix" else None
    except OSError:
        return None


def port(settings: Settings) -> Symptom:
    """Look whether the server could listen where it is configured to."""
    host, number = settings.server.host, settings.server.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        fix = "Free it, or set another [server] port. If that is the gateway already: doctor --url http://HOST:PORT"
        return Symptom("port", "look", f"{host}:{number} cannot be listened on: {error.strerror or error}", fix)
    return Symptom("port", "ok", f"{host}:{number} is free")
