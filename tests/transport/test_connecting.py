"""What fails before a request is sent is `connect`, at both doors and on both loops: nothing can have been billed."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from aigateway.errors import Kind, WireError

from .parts import door, post
from .raw_vendor import raw_vendor, sized, staying

# A fresh process, because libraries read the trusted authorities once: its own are the ones of the test.
ASK = """
import sys, anyio
from aigateway.errors import WireError
from aigateway.transport import open_transport, read_all
from aigateway.types import HTTPRequest

async def main(kind, backend, *urls):
    transport = open_transport(kind, backend=backend)
    for url in urls:
        try:
            response = await transport.send(HTTPRequest("POST", url, {}, b"{}"), connect=5)
            print(200, (await read_all(response)).decode())
            await response.aclose()
        except WireError as error:
            print(error.kind, error)
    await transport.aclose()

anyio.run(main, *sys.argv[1:], backend=sys.argv[2])
"""
AUTHORITY = """
[ca]
default_ca = here
[here]
database = database
new_certs_dir = .
default_md = sha256
policy = any
rand_serial = yes
unique_subject = no
[any]
commonName = supplied
"""
VENDORS = {  # the subject's alternative name, from when, until when
    "good": ("IP:127.0.0.1", "20200101000000Z", "21200101000000Z"),
    "expired": ("IP:127.0.0.1", "20200101000000Z", "20200102000000Z"),
    "other host": ("DNS:canary.test", "20200101000000Z", "21200101000000Z"),
}


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def new_key(folder: Path, name: str, *more: str) -> None:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(folder, "req", *curve, "-subj", "/CN=canary", "-keyout", f"{name}.key", *more)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority, three vendors it vouches for, and one that vouches for itself."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "database").touch()
    (folder / "authority.cnf").write_text(AUTHORITY)
    new_key(folder, "authority", "-x509", "-days", "9", "-out", "authority.pem")
    new_key(folder, "self-signed", "-x509", "-addext", "subjectAltName=IP:127.0.0.1", "-out", "self-signed.pem")
    for name, (host, since, until) in VENDORS.items():
        new_key(folder, name, "-out", f"{name}.csr")
        (folder / "extensions").write_text(f"subjectAltName={host}")
        authority = ("-cert", "authority.pem", "-keyfile", "authority.key", "-config", "authority.cnf")
        valid = ("-startdate", since, "-enddate", until, "-extfile", "extensions")
        openssl(folder, "ca", "-batch", "-notext", *authority, *valid, "-in", f"{name}.csr", "-out", f"{name}.pem")
    return folder


async def speak_first(stream: SocketStream) -> None:
    async with stream:
        await stream.send(b"220 canary\r\n")


@pytest.mark.anyio
async def test_a_certificate_that_is_wrong_is_connect(pair: tuple[str, str], certificates: Path) -> None:
    """Expired, for another host, vouched for by nobody, or no TLS at all; and nothing of it is shown."""
    async with AsyncExitStack() as stack:
        urls = []
        for name in (*VENDORS, "self-signed"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
            urls.append((await stack.enter_async_context(raw_vendor(staying(sized(b"ok")), tls=context))).url)
        plain = await stack.enter_async_context(await anyio.create_tcp_listener(local_host="127.0.0.1"))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(plain.serve, speak_first)
        stack.callback(tasks.cancel_scope.cancel)
        urls.append(f"https://127.0.0.1:{plain.extra(SocketAttribute.local_port)}")
        trusting = {**os.environ, "SSL_CERT_FILE": str(certificates / "authority.pem")}
        asked = await anyio.run_process([sys.executable, "-c", ASK, *pair, *urls], env=trusting)
    lines = asked.stdout.decode().splitlines()

    assert ["200", "connect", "connect", "connect", "connect"] == [line.split()[0] for line in lines]
    assert "canary" not in asked.stdout.decode()


def test_verifying_is_never_switched_off() -> None:
    """No line of ours says so."""
    source = Path(__file__).parents[2] / "src"
    words = ("verify=False", "verify_ssl", "ssl=False", "CERT_NONE", "check_hostname")

    assert not [path for path in source.rglob("*.py") if any(word in path.read_text("utf-8") for word in words)]


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Give an address whose system drops what wants to connect: a full queue of connections nobody accepts."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """Give an address that accepts, and never shakes hands."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.anyio
@pytest.mark.parametrize("where", ["black_hole", "silent"])
async def test_what_never_connects_ends_at_the_connect_limit(
    pair: tuple[str, str], where: str, request: pytest.FixtureRequest
) -> None:
    """A dropped SYN, or a handshake that is never answered, costs the limit and no more."""
    url = request.getfixturevalue(where)
    async with door(pair) as transport:
        with anyio.fail_after(30), pytest.raises(WireError) as caught:
            await transport.send(post(url), connect=0.2)

    assert Kind.CONNECT is caught.value.kind


@pytest.mark.anyio
@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "a" * 64 + ".invalid", "two..dots.invalid", "256.256.256.256"]
)
async def test_a_name_that_has_no_address_is_connect(pair: tuple[str, str], host: str) -> None:
    """Neither a name nobody knows nor one that cannot be is anything else, and it is not shown."""
    async with door(pair) as transport:
        with anyio.fail_after(30), pytest.raises(WireError) as caught:
            await transport.send(post(f"http://{host}"), connect=5)

    assert Kind.CONNECT is caught.value.kind
    assert "invalid" not in str(caught.value)
