"""Stand at a vendor's own address: a proxy that ends TLS for it and hands what comes to a stand-in."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.x509.oid import NameOID

__all__ = ["own_address"]

USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip  # a list of names


@asynccontextmanager
async def own_address(host: str, stand_in: str, folder: Path) -> AsyncIterator[dict[str, str]]:
    """Give the environment in which `https://HOST` is the stand-in at that URL; any other host is refused."""
    tls = _certified(host, folder)
    to = urlsplit(stand_in)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(f"CONNECT {host}:443 ".encode()):
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await writer.start_tls(tls)
            theirs, ours = await asyncio.open_connection(to.hostname, to.port)
            await asyncio.gather(_pass_on(reader, ours), _pass_on(theirs, writer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "SSL_CERT_FILE": str(folder / "ca.pem")}


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        sink.write(data)
        await sink.drain()
    sink.close()


def _certified(host: str, folder: Path) -> ssl.SSLContext:
    """Make an authority in `ca.pem`, and a server it vouches for."""
    root, own = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    authority = _certificate("a test's authority", root, root)
    server = _certificate(host, own, root)
    (folder / "ca.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key = own.private_bytes(serialization.Encoding.PEM, *plain)
    (folder / "server.pem").write_bytes(key + server.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    return context


def _certificate(name: str, key: EllipticCurvePrivateKey, signer: EllipticCurvePrivateKey) -> x509.Certificate:
    now, own = datetime.now(UTC), key is signer
    issuer = "a test's authority"
    uses = dict.fromkeys(USES, False) | {"digital_signature": True, "key_cert_sign": own}
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**uses), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name.replace(" ", "-").replace("'", ""))]), False)
        .sign(signer, hashes.SHA256())
    )
