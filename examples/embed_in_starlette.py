"""Mount the gateway in a Starlette application: `python embed_in_starlette.py --sandbox --port 8000`.

Needs the extra `server`, which brings Starlette and uvicorn.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from where import configuration, options

from aigateway import Gateway
from aigateway.asgi import create_app


def make_app(gateway: Gateway) -> Starlette:
    """One gateway for the application's own code, and for OpenAI clients under /ai."""

    async def greeting(request: Request) -> PlainTextResponse:
        reply = await gateway.chat("smart", "Greet a visitor")
        return PlainTextResponse(reply.text)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with gateway:  # whoever makes a gateway closes it
            yield

    routes = [Route("/greeting", greeting), Mount("/ai", create_app(gateway))]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    chosen = options(__doc__)
    with configuration(chosen) as config, socket.create_server(("127.0.0.1", chosen.port)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/ai/v1", flush=True)
        app = make_app(Gateway.from_config(config))
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
