"""Requests made from our own `/openapi.json`, right ones and wrong ones, against the application in this process.

`python -m benchmarks.fuzz` makes 20,000 with Schemathesis; the echo provider answers. Each answer must be below 500,
of a type that fits, and an error in its route's envelope, with the request id, without a word from inside.
Exits 1 and prints how to repeat what it found.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from aigateway import Gateway
from aigateway.asgi import create_app
from aigateway.asgi._app import ROUTES
from aigateway.asgi._openapi import describe

CONFIG: dict[str, Any] = {
    "default_model": "smart",
    "unknown_models": "default",  # what is made up would else be a 404 before anybody reads on
    "providers": {"echo": {}},
    "routes": {"smart": {"targets": ["echo/echo"]}},
    "server": {"log_requests": True, "debug": True},
}
ENOUGH = 20_000
BODY = 4  # how many cases an operation with a body gets for each of one without
INSIDE = ("Traceback (most recent", "site-packages", str(Path(__file__).parent.parent))
KINDS = ("application/json", "text/event-stream", "text/html", "text/css", "text/javascript")
ENDS = ("data: [DONE]", "event: message_stop", "event: response.completed", "event: response.incomplete")


@dataclass
class Findings:
    """What was asked, and what was wrong with the answers; one of each kind is kept."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        return self.statuses.total()

    def __str__(self) -> str:
        tally = ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))
        found = "".join(f"\n\n{what}\n  {how}" for what, how in self.wrong.items())
        return f"{self.cases} cases in {self.seconds:.0f} s: {tally}; {len(self.wrong)} kinds of wrong answers{found}"


class Inside(logging.Handler):
    """Collect what the gateway says of itself when it fails."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


class Fuzz:
    """Ask every operation of the document, and judge the answers; `number` seeds what is made up."""

    def __init__(self, number: int = 1) -> None:
        self._number = number
        self._config = schemathesis.Config.from_dict({"seed": number, "max-stream-events": 1_000_000})  # to their ends
        self._schema = schemathesis.openapi.from_dict(describe(ROUTES), config=self._config)
        self._schema.app = create_app(Gateway.from_config(CONFIG), close=True)
        self._operations: list[Any] = [found.ok() for found in self._schema.get_all_operations()]  # type: ignore[union-attr]  # ours is valid
        self._inside = Inside()
        self.findings = Findings()

    def run(self, cases: int, *, step: int = 1) -> Findings:
        """Ask what is at the bounds of every field (with `step`, some of it), then what is made up.

        That is `cases` in all or a little more.
        """
        log = logging.getLogger("aigateway.server")
        log.addHandler(self._inside)
        began = time.monotonic()
        try:
            self._bounds(step)
            while self.findings.cases < cases:
                self._made_up(cases - self.findings.cases)
                self._number += 1
        finally:
            log.removeHandler(self._inside)
        self.findings.seconds = time.monotonic() - began
        return self.findings

    def _bounds(self, step: int) -> None:
        generation = self._config.projects.get_default().generation
        modes = list(GenerationMode)
        for operation in self._operations:
            made = self._schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=generation)
            for case in islice(made, 0, None, step):
                self._judge(case)

    def _made_up(self, cases: int) -> None:
        """Spread cases over the operations; one with a body has the more to get wrong."""
        weights = [BODY if operation.body else 1 for operation in self._operations]
        for operation, weight in zip(self._operations, weights, strict=True):
            share = -(-cases * weight // (sum(weights) * len(GenerationMode)))
            for mode in GenerationMode:
                self._ask(operation.as_strategy(generation_mode=mode), min(share, cases))
            if share > 50:
                print(f"{operation.method} {operation.path}: {self.findings.cases} cases", file=sys.stderr)

    def _ask(self, made: Any, share: int) -> None:
        @seed(self._number)
        @settings(
            max_examples=share,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=made)
        def ask(case: Case[Any]) -> None:
            self._judge(case)

        with suppress(Unsatisfiable):  # nothing can be wrong about a request without a body and a parameter
            ask()

    def _judge(self, case: Case[Any]) -> None:
        self._inside.said.clear()
        reply = case.call()
        self.findings.statuses[reply.status_code] += 1
        if what := wrong(case.path, case.method, reply, self._inside.said):
            self.findings.wrong.setdefault(f"{case.method} {case.path}: {what}", case.as_curl_command()[:2000])


def wrong(path: str, method: str, reply: Any, said: list[str]) -> str:
    """Say what is wrong with an answer; nothing if it is as it should be."""
    status, text = reply.status_code, reply.content.decode("utf-8", "replace")
    kind = (reply.headers.get("content-type") or [""])[0].partition(";")[0]
    if said:
        return said[0]
    if status >= 500:
        return f"{status} {text[:300]}"
    if kind not in KINDS:
        return f"the type {kind!r}"
    if kind == "text/event-stream":
        return "" if any(end in text[-400:] or end in text for end in ENDS) else f"a stream that ends {text[-300:]!r}"
    if status < 400 or method.upper() == "HEAD":
        return ""
    if kind != "application/json":
        return f"an error of type {kind!r}"
    if found := [word for word in INSIDE if word in text]:
        return f"{found[0]!r} in an error"
    return _envelope(path, json.loads(text), (reply.headers.get("x-request-id") or [""])[0])


def _envelope(path: str, body: Any, request_id: str) -> str:
    """Say what an error lacks in the dialect of its route."""
    error = body.get("error", {})
    anthropic = path.startswith("/v1/messages")
    named = body.get("request_id") if anthropic else error.get("request_id")
    keys = {"message", "type"} if anthropic else {"message", "type", "param", "code", "request_id"}
    if keys - error.keys() or (anthropic and body.get("type") != "error"):
        return f"another envelope: {sorted(error)}"
    return "" if named == request_id else "no request id"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=ENOUGH, help="how many at least (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="for other ones (%(default)s)")
    words = parser.parse_args()
    findings = Fuzz(words.seed).run(words.cases)
    print(findings)
    return 1 if findings.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
