"""Mount the gateway in a FastAPI application: `python embed_in_fastapi.py --sandbox --port 8000`.

Needs FastAPI, which is no part of the gateway (`pip install fastapi`), and the extra `server`.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from where import configuration, options

from aigateway import Gateway
from aigateway.asgi import create_app


def make_app(gateway: Gateway) -> FastAPI:
    """One gateway for the application's own code, and for OpenAI clients under /ai."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with gateway:  # whoever makes a gateway closes it
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/greeting")
    async def greeting() -> dict[str, str]:
        reply = await gateway.chat("smart", "Greet a visitor")
        return {"text": reply.text}

    app.mount("/ai", create_app(gateway))
    return app


if __name__ == "__main__":
    chosen = options(__doc__)
    with configuration(chosen) as config, socket.create_server(("127.0.0.1", chosen.port)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/ai/v1", flush=True)
        app = make_app(Gateway.from_config(config))
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
