"""The control server: look at the stand-ins and switch faults from another process.

GET    /                      vendors, addresses, faults
PUT    /faults/{vendor}       {"fault": "rate_limit:2"}, or the words alone
DELETE /faults/{vendor}
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic_core import from_json, to_json

from ._faults import FAULTS, Fault, nearest
from ._server import Exchange

if TYPE_CHECKING:
    from ._sandbox import Sandbox

__all__ = ["Control"]

LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE | re.ASCII)
HELP = "use GET /, PUT /faults/{vendor} with a fault, or DELETE /faults/{vendor}"


class ControlError(Exception):
    """A request that cannot be done, with its status and what to do instead."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """Answer on the control port."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def handle(self, http: Exchange) -> None:
        """Answer one request."""
        try:
            status, body = 200, await self._answer(http)
        except ControlError as problem:
            status, body = problem.status, {"error": str(problem)}
        await http.respond(
            status, {"content-type": "application/json", "cache-control": "no-store"}, to_json(body) + b"\n"
        )

    async def _answer(self, http: Exchange) -> dict[str, object]:
        request = http.request
        # A web page can point a name of its own at 127.0.0.1, but not change what the browser calls it.
        if not LOOPBACK.fullmatch(request.headers.get("host", "")):
            raise ControlError(403, "ask for 127.0.0.1 or localhost; other Host headers are refused")
        if request.path == "/":
            if request.method not in {"GET", "HEAD"}:
                raise ControlError(405, HELP)
            return self._state()
        name = request.path.removeprefix("/faults/")
        if name == request.path:
            raise ControlError(404, f"there is no {request.path[:100]!r}; {HELP}")
        if name not in self._sandbox.vendors:
            raise ControlError(404, f"there is no vendor {name[:40]!r}; {nearest(name, tuple(self._sandbox.vendors))}")
        await self._switch(name, _wanted(request.method, request.body))
        return self._vendor(name)

    async def _switch(self, name: str, text: str) -> None:
        try:
            await self._sandbox.set_fault(name, Fault.parse(text))
        except ValueError as error:
            raise ControlError(400, str(error)) from None
        except OSError as error:
            raise ControlError(409, str(error)) from None

    def _state(self) -> dict[str, object]:
        return {
            "vendors": {name: self._vendor(name) for name in self._sandbox.vendors},
            "faults": list(FAULTS),
            "help": HELP,
        }

    def _vendor(self, name: str) -> dict[str, object]:
        vendor = self._sandbox.vendors[name]
        return {"name": name, "url": vendor.url, "fault": str(vendor.fault), "requests": len(vendor.requests)}


def _wanted(method: str, body: bytes) -> str:
    """Read the fault a request asks for."""
    if method == "DELETE":
        return "none"
    if method != "PUT":
        raise ControlError(405, HELP)
    try:
        found = from_json(body)
    except ValueError:
        found = body.decode("utf-8", "replace")
    if isinstance(found, dict):
        found = found.get("fault")
    if not isinstance(found, str):
        raise ControlError(400, 'send {"fault": "rate_limit:2"}, or the words alone')
    return found
