"""Read which configuration an example is to use: a file, or `--sandbox`; nothing is chosen silently."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal

from aigateway.testing.sandbox import Sandbox

MODELS = {
    "deepseek": "deepseek-flash",
    "minimax": "MiniMax-M3",
    "openai": "gpt-5.4-mini",
    "groq": "openai/gpt-oss-120b",
}


def options(about: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=about)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("config", nargs="?", type=Path, help="a configuration file with a route `smart`")
    choice.add_argument("--sandbox", action="store_true", help="use local stand-in vendors")
    parser.add_argument("--port", type=int, default=8000, help="where to listen, for the examples that serve")
    return parser.parse_args()


@contextmanager
def configuration(chosen: argparse.Namespace) -> Iterator[Path | dict[str, Any]]:
    """Give what `Gateway.from_config` takes; stand-ins run in a thread as long as this lasts."""
    if not chosen.sandbox:
        yield chosen.config
        return
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Sandbox()) as sandbox:
        yield stand_ins(sandbox)


def stand_ins(sandbox: Sandbox) -> dict[str, Any]:
    """Write a configuration that points at the stand-ins."""
    keys = [{"secret": sandbox.key, "allow_literal": True}]
    return {
        "default_model": "smart",
        "providers": {name: {"base_url": vendor.url, "keys": keys} for name, vendor in sandbox.vendors.items()},
        "routes": {"smart": {"targets": [f"{name}/{model}" for name, model in MODELS.items()]}},
    }
