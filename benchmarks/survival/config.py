"""One configuration for all figures.

Facts persist between requests: what broke once may rest. So whoever measures how the first request fares
takes a provider that nobody has asked before.
"""

from __future__ import annotations

from itertools import count
from typing import Any

__all__ = ["DRAIN", "Config"]

# Seconds `serve` waits at its end for what is under way.
DRAIN = 20.0
HEAD = """\
default_model = "well"
unknown_models = "refuse"

[transport]
kind = "{transport}"

[timeouts]
connect = 10.0
first_content = 30.0
silence = 30.0
answer = 30.0
total = 50.0

[server]
drain = {drain}

# One client asks for everything here: what is measured is not how it is limited.
[[guards]]
use = "rate_limit"
requests_per_minute = 1_000_000_000

[[guards]]
use = "concurrency"
calls = 100_000
streams = 100_000
"""
PROVIDER = """
[providers.{name}]
type = "{kind}"
base_url = "http://127.0.0.1:{port}/v1"
keys = [{{ allow_literal = true, secret = "survival-key-of-{name}" }}]
"""
ROUTE = """
[routes.{name}]
targets = [{targets}]
"""


class Config:
    """Collect providers and routes; write them as the file both a server and a program read."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._numbers = count()
        self._parts: list[str] = []
        self.well = self.provider()
        self.route([f"{self.well}/well"], name="well")

    def provider(self, kind: str = "openai-compatible", port: int = 0) -> str:
        """Add a provider, innocent of everything; give its name."""
        name = f"p{next(self._numbers)}"
        self._parts.append(PROVIDER.format(name=name, kind=kind, port=port or self._port))
        return name

    def route(self, targets: list[str], *, limit: float = 0.0, name: str = "", **options: Any) -> str:
        """Add a route; all targets but the last have `limit` seconds for content."""
        name = name or f"r{next(self._numbers)}"
        limits = f"{{ first_content = {limit}, silence = {limit}, answer = {limit} }}"
        written = [f'{{ to = "{target}", timeouts = {limits} }}' if limit else f'"{target}"' for target in targets[:-1]]
        text = ROUTE.format(name=name, targets=", ".join([*written, f'"{targets[-1]}"']))
        self._parts.append(text + "".join(f"{option} = {value}\n" for option, value in options.items()))
        return name

    def text(self, transport: str) -> str:
        """Write the file."""
        return HEAD.format(transport=transport, drain=DRAIN) + "".join(self._parts)
