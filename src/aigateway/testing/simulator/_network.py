"""The transport of a simulation: it hands each request to its vendor and lets the time pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
from pydantic_core import from_json

from ...errors import WireError
from ...secrets import Secret
from ...transport import HTTPResponse
from ...types import HTTPRequest
from ..sandbox._speech import Chat
from ._calls import Question, Upstream
from ._vendor import Vendor, Will

__all__ = ["Account", "Network", "number_of"]

# What only the gateway's patience ends.
ENDLESS = frozenset({"hang", "stall"})


@dataclass(frozen=True, slots=True)
class Account:
    """Whose key it is: its number at the vendor, and the account it draws on."""

    number: int
    name: str


class Network:
    """Send requests to vendors by host; no socket is ever opened.

    `accounts` are by a key's secret; `questions` are those under way, by number.
    """

    def __init__(self, vendors: Mapping[str, Vendor], accounts: Mapping[str, Account]) -> None:
        self.calls: list[Upstream] = []
        self.questions: dict[int, Question] = {}
        self._vendors = vendors
        self._accounts = accounts

    async def send(self, request: HTTPRequest, *, connect: float) -> HTTPResponse:
        """Wait for the head of the answer."""
        host = urlsplit(request.url).hostname or ""
        vendor = self._vendors[host]
        chat = Chat("", from_json(request.body))
        account = self._account(request)
        now = anyio.current_time()
        question = self.questions[number_of(chat.messages)]
        call = Upstream(now, vendor.name, chat.model, account.number, account.name, question.number)
        self.calls.append(call)
        vendor.in_flight += 1
        try:
            will = vendor.will(call, chat, question, now, connect)
            await _until(will.at)
            if will.error is not None:
                raise will.error
        except BaseException as error:
            ended(call, vendor, by_vendor=isinstance(error, WireError))
            raise
        return Incoming(will, vendor)

    async def aclose(self) -> None:
        """Nothing is kept open."""

    def _account(self, request: HTTPRequest) -> Account:
        for value in request.headers.values():
            word = value.reveal().rpartition(" ")[2] if isinstance(value, Secret) else ""
            if word in self._accounts:
                return self._accounts[word]
        return Account(0, "none")


class Incoming:
    """One open response."""

    def __init__(self, will: Will, vendor: Vendor) -> None:
        response = will.response
        self.status = response.status if response else 0
        self.headers: Mapping[str, str] = response.headers if response else {}
        self._call = will.call
        self._call.status = self.status
        self._pieces = list(reversed(will.pieces))
        self._vendor = vendor

    async def read(self) -> bytes:
        """Give what has arrived by now, or else next; b"" at the end. Raises WireError."""
        pieces, call = self._pieces, self._call
        if not pieces:
            await anyio.lowlevel.checkpoint()
            ended(call, self._vendor, by_vendor=True)
            return b""
        await _until(pieces[-1].at)
        now, data = anyio.current_time(), b""
        while pieces and pieces[-1].at <= now:
            what = pieces[-1].what
            if isinstance(what, WireError):
                if data:
                    return data
                ended(call, self._vendor, by_vendor=True)
                raise what
            data += what
            tokens = pieces.pop().tokens
            call.output += tokens
            if tokens and call.first_content is None:
                call.first_content = now
        return data

    async def aclose(self, *, reusable: bool = False) -> None:
        """Let it go."""
        ended(self._call, self._vendor, by_vendor=not self._pieces)


def ended(call: Upstream, vendor: Vendor, *, by_vendor: bool) -> None:
    """Note the end of a call, once."""
    if call.ended is not None:
        return
    call.ended = anyio.current_time()
    vendor.in_flight -= 1
    if not by_vendor and call.outcome not in ENDLESS:
        call.outcome = "left"  # before what would have come
    elif call.outcome == "open":
        call.outcome = "answered"


async def _until(at: float) -> None:
    """Let the time pass; at least once somebody else may run."""
    left = at - anyio.current_time()
    await (anyio.sleep_forever() if at == inf else anyio.sleep(max(0.0, left)))


def number_of(messages: Sequence[Mapping[str, Any]]) -> int:
    """Read the number of the question out of the first thing its user says."""
    said = next(message for message in messages if message["role"] == "user")
    return int(str(said["content"]).removeprefix("#").partition(" ")[0])
