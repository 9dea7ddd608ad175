"""`aigateway explain MODEL`: where a request would go now, and why, asking nobody."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from ..asgi import Who, explain_as
from ..config import Settings
from ..errors import GatewayError, RequestError
from ..gateway import Gateway
from ..types import ChatRequest, Decision, messages_from
from ._options import AsJSON, Config, Url, ask_server, settings_with_providers

__all__ = ["explain"]


def explain(
    model: Annotated[str, typer.Argument(help="A route, a model, or provider/model.")],
    request: Annotated[
        Path | None,
        typer.Option("--request", help="A chat request in JSON; - reads standard input.", show_default=False),
    ] = None,
    caller: Annotated[
        str | None,
        typer.Option(help="Explain it for the client key of this name; else an operator asks.", show_default=False),
    ] = None,
    config: Config = None,
    url: Url = None,
    as_json: AsJSON = False,
) -> None:
    """Tell where a request would go now. What is left out, what rests, in which order the others are asked."""
    body = _body(model, request)
    if url:
        found = ask_server(url, *_asked(model, body, caller))
        _show(found["decision"], str(found["explained"]), as_json=as_json)
        return
    decision = _dry(settings_with_providers(config, way_on="try `aigateway demo`"), model, body, caller)
    _show(json.loads(decision.to_json()), decision.explain(), as_json=as_json)


def _dry(settings: Settings, model: str, body: dict[str, Any] | None, caller: str | None) -> Decision:
    """Ask a gateway of our own, with what the place of `state.url` remembers."""
    gateway = Gateway(settings)
    mirror = gateway.parts.mirror
    if mirror is not None:
        mirror.start(gateway.memory.rests)
        mirror.close()
    if caller is None:
        return gateway.explain(model, body or "")
    asked = ChatRequest.parse({"messages": messages_from(""), **(body or {}), "model": model})
    return explain_as(gateway, Who(gateway), asked, caller)


def _asked(model: str, body: dict[str, Any] | None, caller: str | None) -> tuple[str, str, dict[str, Any] | None]:
    asks = {"model": model} if body is None else {}
    asks |= {"caller": caller} if caller is not None else {}
    query = f"?{urlencode(asks, quote_via=quote, safe='')}" if asks else ""
    return "GET" if body is None else "POST", f"/admin/explain{query}", body


def _body(model: str, source: Path | None) -> dict[str, Any] | None:
    """Read the request of a file; its model is the one that is named."""
    if source is None:
        return None
    try:
        body = json.loads(sys.stdin.read() if str(source) == "-" else source.read_bytes())
    except OSError as error:
        raise GatewayError(f"the request in {source} cannot be read: {error.strerror}. Name another file.") from None
    except (ValueError, RecursionError):
        raise RequestError(f"the request in {source} is not JSON. Send a chat request, such as it goes out.") from None
    if not isinstance(body, dict):
        raise RequestError(f"the request in {source} must be a JSON object with 'messages'.")
    return {**body, "model": model}


def _show(record: dict[str, Any], told: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(record, indent=2) if as_json else told)
