"""Ask from a program: `python in_process.py CONFIG` or `python in_process.py --sandbox`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from where import configuration, options

from aigateway import Gateway, NoAnswer


async def main(config: Path | dict[str, Any]) -> None:
    async with Gateway.from_config(config) as gateway:
        try:
            reply = await gateway.chat("smart", "Say hi", max_tokens=200)
        except NoAnswer as error:
            raise SystemExit(f"Nobody answered: {error.reasons}") from None
        print(reply.text)
        print(f"tokens: {reply.usage.total_tokens}")
        if reply.decision is not None:
            print(reply.decision.explain())


if __name__ == "__main__":
    with configuration(options(__doc__)) as chosen:
        anyio.run(main, chosen)
