"""What is measured: clients alone, a bare relay, the gateway as a server and as a library."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .accounting import resident_mb
from .child import ROOT, START_SECONDS, Child, ChildError, free_port
from .payloads import CALLER_KEY, VENDOR_KEY
from .plan import MAX_SECONDS, Load, Sample

ORDER_SECONDS = 2 * MAX_SECONDS + 5.0  # a warm-up and a load
GATEWAY_ENV = {"BENCH_KEY": VENDOR_KEY, "BENCH_CALLER_KEY": CALLER_KEY}

CONFIG = """\
default_model = "bench/model"
unknown_models = "refuse"

[providers.bench]
type = "openai-compatible"
base_url = "http://127.0.0.1:{upstream}/v1"
keys = [{{ secret = "env:BENCH_KEY" }}]

[routes.smart]
targets = ["bench/model"]

[transport]
kind = "{transport}"

[[callers.keys]]
name = "bench"
secret = "env:BENCH_CALLER_KEY"

[[guards]]
use = "rate_limit"
requests_per_minute = 1_000_000_000

[[guards]]
use = "concurrency"
calls = 100_000
streams = 100_000
"""


@dataclass(frozen=True)
class Bench:
    """What all subjects share: the upstream, the load generator, a folder."""

    upstream: int
    load: Child
    folder: Path

    def config(self, transport: str) -> Path:
        """Write the gateway's configuration."""
        path = self.folder / f"aigateway-{transport}.toml"
        path.write_text(CONFIG.format(upstream=self.upstream, transport=transport))
        return path


@dataclass
class Subject:
    """One row of the table. `needs` are distributions without which it is skipped, not failed."""

    name: str
    needs: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    server: bool = False
    child: Child | None = field(default=None, init=False)
    port: int = field(default=0, init=False)

    def missing(self) -> str | None:
        """Say what is not installed."""
        for name in self.needs:
            try:
                version(name)
            except PackageNotFoundError:
                return f"{name} is not installed"
        return None

    def spawn(self, bench: Bench, prefix: tuple[str, ...] = ()) -> None:
        """Start the process; `prefix` runs it under another module, such as a profiler."""
        if self.server:
            self.port = free_port()
        arguments = [*prefix, "-m", *self.command(bench)]
        # A server looks for .env and its configuration where it starts, so that place is ours.
        cwd = bench.folder if self.command(bench)[0] == "aigateway" else ROOT
        self.child = Child(arguments, orders=not self.server, cwd=cwd, env=self.env)

    def command(self, bench: Bench) -> list[str]:
        """Give the module to run, and its arguments."""
        raise NotImplementedError

    def wait(self) -> None:
        """Wait until it is ready. Raises ChildError."""
        if self.server:
            self._child.wait_for_port(self.port)
        elif (line := self._child.line(START_SECONDS)) != "ready":
            raise ChildError(f"said {line!r} instead of ready")

    def measure(self, bench: Bench, load: Load) -> Sample:
        """Put one load on it. Raises ChildError."""
        order = {"load": load.as_order(), "port": self.port, "pid": self._child.pid}
        return Sample(**(bench.load if self.server else self._child).order(order, ORDER_SECONDS))

    def resident_mb(self) -> float:
        """Give the memory it holds now."""
        return resident_mb(self._child.pid)

    def stop(self, grace: float = 0.0) -> None:
        """End it, if it was started."""
        if self.child is not None:
            self.child.stop(grace)
            self.child = None

    @property
    def _child(self) -> Child:
        if self.child is None:
            raise ChildError("not started")
        return self.child


@dataclass
class Client(Subject):
    """An in-process subject, which loads itself."""

    opener: str = ""
    transport: str = ""

    def command(self, bench: Bench) -> list[str]:
        config = ["--config", str(bench.config(self.transport))] if self.transport else []
        return ["benchmarks.clients", self.opener, "--upstream", str(bench.upstream), *config]


@dataclass
class BareRelay(Subject):
    """The reference of the servers."""

    def command(self, bench: Bench) -> list[str]:
        return ["benchmarks.relay", "--port", str(self.port), "--upstream", str(bench.upstream)]


@dataclass
class Serve(Subject):
    """`aigateway serve`, one worker."""

    transport: str = ""

    def command(self, bench: Bench) -> list[str]:
        return ["aigateway", "serve", "--config", str(bench.config(self.transport)), "--port", str(self.port)]


RELAY = "relay"
DIRECT = "aiohttp"


def all_subjects() -> list[Subject]:
    """List them in the order of a round."""
    return [
        BareRelay(RELAY, server=True),
        Serve("serve-aiohttp", env=GATEWAY_ENV, server=True, transport="aiohttp"),
        Serve("serve-httpx2", env=GATEWAY_ENV, server=True, transport="httpx2"),
        Client(DIRECT, opener="aiohttp"),
        Client("httpx2", opener="httpx2"),
        Client("gateway-aiohttp", env=GATEWAY_ENV, opener="gateway", transport="aiohttp"),
        Client("gateway-httpx2", env=GATEWAY_ENV, opener="gateway", transport="httpx2"),
        Client("openai", needs=("openai",), opener="openai"),
    ]
