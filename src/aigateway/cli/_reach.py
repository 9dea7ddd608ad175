"""What `doctor` looks at beyond this process: vendors, their clocks, our keys there, the shared state."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from email.utils import parsedate_to_datetime
from statistics import median
from urllib.parse import urlsplit
from urllib.request import getproxies

import anyio
import anyio.to_thread

from .. import __version__
from ..errors import WireError
from ..gateway import Gateway
from ..secrets import Secret
from ..transport import Transport, open_transport
from ..types import HTTPRequest
from ._findings import unusable_files
from ._symptoms import Symptom

__all__ = ["keys", "state", "vendors"]

# Seconds for a connection, for an answer, for the shared state to say what is wrong, between two looks at it.
CONNECT, ANSWER, STATE, LOOK = 5.0, 10.0, 2.0, 0.05
# Seconds a clock may differ: from the first on it is said, from the second on keys that end by the clock go wrong.
NOTICED, WRONG = 5.0, 60.0
PORTS = {"https": 443, "http": 80, "redis": 6379, "rediss": 6379}


async def vendors(gateway: Gateway) -> list[Symptom]:
    """Connect to every vendor without any key; compare our clock with theirs."""
    transport = open_transport(gateway.settings.transport.kind)
    found: dict[str, Symptom] = {}
    skews: list[float] = []

    async def reach(name: str) -> None:
        found[name] = await _reached(name, address(gateway, name), transport, skews)

    try:
        async with anyio.create_task_group() as tasks:
            for name in gateway.parts.providers:
                tasks.start_soon(reach, name)
    finally:
        await transport.aclose()
    return [*(found[name] for name in gateway.parts.providers), *_clock(skews)]


def address(gateway: Gateway, name: str) -> str:
    """Give where a provider is asked; empty for one that answers in this process."""
    provider = gateway.parts.providers[name]
    listing = getattr(provider, "listing", None)
    known = getattr(provider, "base_url", "") or (listing(Secret("none")).url if listing else "")
    return str(known)


async def _reached(name: str, url: str, transport: Transport, skews: list[float]) -> Symptom:
    if not url:
        return Symptom(f"vendor {name}", "ok", "answers in this process")
    parts = urlsplit(url)
    host = parts.hostname or ""
    request = HTTPRequest("HEAD", url, {"user-agent": f"aigateway/{__version__}", "accept-encoding": "identity"})
    began = time.monotonic()
    try:
        with anyio.fail_after(CONNECT + ANSWER):
            response = await transport.send(request, connect=CONNECT)
        took = time.monotonic() - began
        date = response.headers.get("date", "")
        await response.aclose()
    except (WireError, TimeoutError) as error:
        said = error.message if isinstance(error, WireError) else "no answer in time"
        why = await anyio.to_thread.run_sync(_why, host, parts.port or PORTS[parts.scheme], parts.scheme == "https")
        fix = _FIXES.get(why.partition(":")[0], f"Look at the network, a proxy, or [providers.{name}] base_url")
        return Symptom(f"vendor {name}", "bad", f"{host} cannot be reached: {why or said}", fix, code=4)
    skews += [time.time() - took / 2 - then for then in _moment(date)]
    return Symptom(f"vendor {name}", "ok", f"{host} answers in {took * 1000:.0f} ms")


_FIXES = {
    "the name is not known": "Look at DNS, or at the base_url",
    "its certificate is not trusted": "Name the authority that signed it: SSL_CERT_FILE=/path/to/ca.pem",
}


def _why(host: str, port: int, tls: bool) -> str:
    """Say what stands in the way of a connection; empty if that cannot be told, as behind a proxy."""
    if getproxies().get("https" if tls else "http"):
        return ""
    try:
        with socket.create_connection((host, port), timeout=CONNECT) as link:
            if tls:
                ssl.create_default_context().wrap_socket(link, server_hostname=host).close()
    except socket.gaierror:
        return "the name is not known"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted: {error.verify_message}"
    except ssl.SSLError as error:
        return f"TLS failed ({error.reason or type(error).__name__})"
    except TimeoutError:
        return "nothing answers"
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _moment(date: str) -> Iterator[float]:
    try:
        yield parsedate_to_datetime(date).timestamp() + 0.5  # it is cut to whole seconds
    except (ValueError, OverflowError):
        return


def _clock(skews: list[float]) -> Iterator[Symptom]:
    if not skews:
        yield Symptom("clock", "ok", "no vendor said the time")
        return
    off = median(skews)
    if abs(off) < NOTICED:
        yield Symptom("clock", "ok", "agrees with the vendors'")
        return
    says = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the vendors'"
    fix = "Let the system keep its time (NTP): weekly keys, tokens and ends of keys go by it"
    yield Symptom("clock", "bad" if abs(off) >= WRONG else "look", says, fix)


async def keys(gateway: Gateway) -> AsyncIterator[Symptom]:
    """Ask each vendor whether it takes our keys; that costs nothing."""
    for key in await gateway.verify_keys():
        name, result = f"key {key['id'] or '-'}", str(key["result"])
        if result == "good":
            yield Symptom(name, "ok", f"{key['provider']} takes it")
        elif result.startswith("unsupported_param"):
            yield Symptom(name, "look", f"{key['provider']} cannot be asked about it")
        else:
            yield Symptom(name, "bad", f"{key['provider']}: {result}", "aigateway keys verify says the same", code=4)


async def state(gateway: Gateway) -> Symptom:
    """Look whether the place of what rests can be used."""
    scheme, mirror = gateway.settings.state.scheme, gateway.parts.mirror
    for name, why in unusable_files(gateway.settings):
        return Symptom("state", "bad", f"{name}: {why}", "What rests and client keys could not be kept")
    if mirror is None:
        return Symptom("state", "ok", "kept in this process")
    parts = urlsplit(gateway.settings.state.url.reveal())
    if parts.hostname and scheme in PORTS:
        where = f"{parts.hostname}:{parts.port or PORTS[scheme]}"
        why = await anyio.to_thread.run_sync(_link, parts.hostname, parts.port or PORTS[scheme])
        if why:
            return Symptom("state", "bad", f"{where} cannot be reached: {why}", "Start it, or correct state.url")
    fault = await anyio.to_thread.run_sync(_shared, gateway)
    if fault:
        return Symptom("state", "bad", fault, "Until then each process knows its own only")
    return Symptom("state", "ok", f"{scheme}: can be used")


def _link(host: str, port: int) -> str:
    try:
        socket.create_connection((host, port), timeout=CONNECT).close()
    except socket.gaierror:
        return "the name is not known"
    except OSError as error:
        return error.strerror or "nothing answers"
    return ""


def _shared(gateway: Gateway) -> str:
    """Begin to share, and listen for a while to what is said to be wrong."""
    mirror = gateway.parts.mirror
    if mirror is None:
        return ""
    mirror.start(gateway.memory.rests)
    end = time.monotonic() + STATE
    try:
        while not mirror.fault() and time.monotonic() < end:
            time.sleep(LOOK)
        return mirror.fault()
    finally:
        mirror.close()
