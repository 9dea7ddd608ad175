"""Ask a vendor whether a key is good, with a call that costs nothing: its list of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio.to_thread

from ..catalogue import Listings
from ..errors import Kind, ProviderError, WireError
from ..providers import LocalProvider, Provider
from ..secrets import Secret
from ..transport import read_all
from ..types import HTTPRequest, Target, WireResponse
from ._exchange import CLOSING
from ._failures import from_bug, from_wire, placed
from ._io import IO
from ._open import NO_KEY
from .timers import expired

__all__ = ["fetch", "probe", "relist"]

LIMIT = 15.0
# Bytes of a list of models: Featherless lists some 22,000.
LARGEST = 8_000_000


async def probe(provider: Provider | LocalProvider, secret: Secret | None, io: IO) -> list[str]:
    """Give the ids a vendor lists for a key. Raises ProviderError; `unsupported_param` where it cannot be asked."""
    key = secret or NO_KEY
    target, timer = Target(provider.name, "models"), io.timer()
    write: Callable[[Secret], HTTPRequest] | None = getattr(provider, "listing", None)
    read: Callable[[WireResponse], Any] | None = getattr(provider, "parse_models", None)
    if write is None or read is None:
        raise placed(ProviderError(Kind.UNSUPPORTED_PARAM, "this provider has no list to ask for"), target, key)
    try:
        return list(read(await timer.within(io.timeouts.connect + LIMIT, lambda: _listed(write(key), io, LARGEST))))
    except TimeoutError:
        raise placed(expired(io.clock.now() + 1, io.clock.now(), "list of models", LIMIT), target, key) from None
    except WireError as error:
        raise placed(from_wire(error), target, key) from None
    except ProviderError as error:
        raise placed(error, target, key) from None
    except Exception as error:
        raise placed(from_bug(error), target, key) from error
    finally:
        timer.stop()


async def relist(
    listings: Listings,
    providers: Mapping[str, Provider | LocalProvider],
    secrets: Mapping[str, Sequence[Secret | None]],
    io: IO,
) -> list[dict[str, Any]]:
    """Ask vendors for their lists, each with the first of its keys that is taken; `error` says why one gave none."""
    rows = []
    for name, keys in secrets.items():
        row: dict[str, Any] = {"provider": name, "models": 0, "new": [], "gone": [], "error": "it has no key"}
        for secret in keys:
            try:
                row = listings.take(name, await probe(providers[name], secret, io))
                break
            except ProviderError as error:
                row["error"] = f"{error.kind}: {error.message}"
                if error.remedy.other_key == "no":
                    break
        rows.append(row)
    if any(row["error"] is None for row in rows):
        await anyio.to_thread.run_sync(listings.save)
    return rows


async def fetch(url: str, io: IO) -> bytes:
    """Read a public document of at most 1 MB. Raises WireError."""
    timer = io.timer()
    try:
        answer = await timer.within(LIMIT, lambda: _listed(HTTPRequest("GET", url, {"accept": "application/json"}), io))
    except TimeoutError:
        raise WireError(Kind.TIMEOUT, f"no answer within {LIMIT:g} s") from None
    finally:
        timer.stop()
    if answer.status != 200:
        raise WireError(Kind.PROTOCOL_ERROR, f"it was answered with status {answer.status}")
    return answer.body


async def _listed(request: HTTPRequest, io: IO, largest: int = 1_000_000) -> WireResponse:
    response = await io.transport.send(request, connect=io.timeouts.connect)
    try:
        return WireResponse(response.status, response.headers, await read_all(response, largest), io.clock.wall())
    finally:
        with anyio.move_on_after(CLOSING, shield=True):  # also of one that was given up
            await response.aclose()
