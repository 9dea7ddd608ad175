"""Print a stream as it arrives: `python streaming.py CONFIG` or `python streaming.py --sandbox`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from where import configuration, options

from aigateway import Gateway, StreamInterrupted


async def main(config: Path | dict[str, Any]) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hi"}]
    async with Gateway.from_config(config) as gateway, gateway.stream("smart", messages) as chunks:
        try:
            async for chunk in chunks:
                print(chunk.text, end="", flush=True)
        except StreamInterrupted as error:
            raise SystemExit(
                f"\nThe answer broke off ({error.cause_kind}) after {len(error.text)} characters."
            ) from None
    print()
    if chunks.outcome is not None and chunks.usage is not None:
        print(f"{chunks.outcome.state}, {chunks.usage.total_tokens} tokens")
    if chunks.decision is not None:
        print(f"answered by {chunks.decision.answered_by}")


if __name__ == "__main__":
    with configuration(options(__doc__)) as chosen:
        anyio.run(main, chosen)
