"""`aigateway demo`: the main job on local stand-ins, every line saying who answered and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ..errors import ConfigurationError
from ..gateway import Gateway
from ..types import Decision
from ._options import run_async

if TYPE_CHECKING:
    from ..testing.sandbox import Sandbox

__all__ = ["demo"]

TOOL = {
    "type": "function",
    "function": {
        "name": "read_ledger",
        "description": "Read the balance of an account.",
        "parameters": {"type": "object", "properties": {"account": {"type": "integer"}}, "required": ["account"]},
    },
}


def demo() -> None:
    """Show failover on local stand-ins."""
    run_async(_demo)


async def _demo() -> None:
    from ..testing.sandbox import Sandbox
    from ._standins import describe, missing, sandbox_settings

    if without := missing():
        raise ConfigurationError(
            f"the demo asks all four vendors. Install {without}, or try `aigateway serve --sandbox`."
        )
    async with Sandbox() as standins, Gateway(sandbox_settings(standins), seed=1) as gateway:
        typer.echo("These are local stand-ins for four vendors, not the vendors: no key, nothing leaves this machine.")
        typer.echo(describe(standins))
        await _each_vendor(gateway)
        await _failing(gateway, standins)
        await _tool(gateway)
        typer.echo(
            "\nDone. Next: `aigateway serve --sandbox` serves the same over HTTP (from a checkout: "
            "python3 dev.py run serve --sandbox); real keys go into .env."
        )


async def _each_vendor(gateway: Gateway) -> None:
    typer.echo("\nEach vendor by name:")
    for model in ("deepseek/deepseek-flash", "minimax/MiniMax-M3", "openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b"):
        reply = await gateway.chat(model, "Hello!")
        _tell(model, reply.text, reply.decision)


async def _failing(gateway: Gateway, standins: Sandbox) -> None:
    typer.echo("\nThe route `smart`, first with everybody up, then with DeepSeek switched off:")
    reply = await gateway.chat("smart", "Who are you?")
    _tell("smart", reply.text, reply.decision)
    await standins.set_fault("deepseek", "down")
    reply = await gateway.chat("smart", "And now?")
    _tell("smart", reply.text, reply.decision)
    await standins.set_fault("minimax", "error:500")
    async with gateway.stream("smart", "And streamed, with MiniMax failing too?") as chunks:
        text = "".join([chunk.text async for chunk in chunks])
    _tell("smart, streamed", text, chunks.decision)
    await standins.set_fault("deepseek", "none")
    await standins.set_fault("minimax", "none")
    reply = await gateway.chat("smart", "Everybody back?")
    _tell("smart", reply.text, reply.decision)


async def _tool(gateway: Gateway) -> None:
    typer.echo("\nA tool call:")
    reply = await gateway.chat("smart", "What is in account 7?", tools=[TOOL])
    for call in reply.choices[0].message.tool_calls or ():
        if call.function is not None:
            _tell("smart, with a tool", f"{call.function.name}({call.function.arguments})", reply.decision)


def _tell(asked: str, text: str, decision: Decision | None) -> None:
    """Print the answer, who gave it, and why it was not somebody before."""
    if decision is None:
        return
    typer.echo(f"  {asked} -> {decision.answered_by}: {text}")
    steps = decision.steps
    for step in steps if len(steps) > 1 else ():
        typer.echo(f"      {step.explain()}")
    if len(steps) == 1:
        order = decision.candidates
        why = f"first in the order {', '.join(order)}" if len(order) > 1 else f"{decision.asked} is {decision.resolved}"
        typer.echo(f"      {steps[0].explain()[:-1]}; {why}.")
