"""Break vendors and watch: `python failover.py --sandbox`; real vendors cannot be switched off, stand-ins can."""

from __future__ import annotations

import anyio
from where import options, stand_ins

from aigateway import Gateway, StreamInterrupted
from aigateway.testing.sandbox import Sandbox


async def main() -> None:
    async with Sandbox() as sandbox, Gateway.from_config(stand_ins(sandbox)) as gateway:
        print("Everybody is up:")
        await ask(gateway)

        print("DeepSeek is down, MiniMax fails; nothing was promised yet, so the next one answers:")
        await sandbox.set_fault("deepseek", "down")
        await sandbox.set_fault("minimax", "error:500")
        await ask(gateway)

        print("DeepSeek breaks off in the middle; what was promised is not replaced silently:")
        await sandbox.set_fault("deepseek", "cut:14")
        await watch(gateway)


async def ask(gateway: Gateway) -> None:
    reply = await gateway.chat("smart", "Who are you?")
    print(f"  {reply.text}")
    for step in reply.decision.steps if reply.decision else ():
        print(f"  {step.target}: {step.outcome}")


async def watch(gateway: Gateway) -> None:
    try:
        async with gateway.stream("smart", "Who are you?") as chunks:
            async for _ in chunks:
                pass
        print("  it came to its end")
    except StreamInterrupted as error:
        print(f"  interrupted ({error.cause_kind}); what had arrived: {error.text!r}")


if __name__ == "__main__":
    if not options(__doc__).sandbox:
        raise SystemExit("This example breaks vendors, so it runs with --sandbox only.")
    anyio.run(main)
