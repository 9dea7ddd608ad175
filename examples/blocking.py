"""Ask without an event loop: `python blocking.py CONFIG` or `python blocking.py --sandbox`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from where import configuration, options

from aigateway.blocking import Gateway


def main(config: Path | dict[str, Any]) -> None:
    with Gateway.from_config(config) as gateway:
        reply = gateway.chat("smart", "Say hi")
        print(reply.text)
        with gateway.stream("smart", "And streamed?") as chunks:
            for chunk in chunks:
                print(chunk.text, end="", flush=True)
        print()


if __name__ == "__main__":
    with configuration(options(__doc__)) as chosen:
        main(chosen)
