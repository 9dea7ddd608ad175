"""`aigateway ask MODEL PROMPT`: one answer on the terminal."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ..errors import RequestError, StreamInterrupted
from ..gateway import Gateway
from ..types import Decision
from ._options import AsJSON, Config, UseSandbox, gateway_for, run_async

__all__ = ["ask"]


def ask(
    model: Annotated[str, typer.Argument(help="A route, a model, or provider/model.")],
    prompt: Annotated[str, typer.Argument(help="What to ask; - reads it from standard input.")],
    config: Config = None,
    sandbox: UseSandbox = False,
    as_json: AsJSON = False,
    system: Annotated[str, typer.Option(help="A system message.")] = "",
) -> None:
    """Ask once, say who answered and why."""
    text = sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise RequestError("the prompt is empty. Say what to ask.")
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": text})

    async def answer() -> None:
        async with gateway_for(config, sandbox=sandbox) as gateway:
            await (_whole if as_json else _stream)(gateway, model, messages)

    run_async(answer)


async def _whole(gateway: Gateway, model: str, messages: list[dict[str, Any]]) -> None:
    reply = await gateway.chat(model, messages)
    typer.echo(reply.model_dump_json().decode())
    _why(reply.decision)


async def _stream(gateway: Gateway, model: str, messages: list[dict[str, Any]]) -> None:
    async with gateway.stream(model, messages) as chunks:
        try:
            async for chunk in chunks:
                typer.echo(chunk.text, nl=False)
        except StreamInterrupted as error:
            typer.echo()
            await chunks.__aexit__()
            error.decision = chunks.decision
            raise
    typer.echo()
    _why(chunks.decision)


def _why(decision: Decision | None) -> None:
    if decision is not None:
        typer.echo("\n".join(f"-- {line}" for line in decision.explain().splitlines()), err=True)
