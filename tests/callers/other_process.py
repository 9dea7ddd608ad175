"""Another process with the same file of client keys: reads commands, one JSON list per line, and answers each."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

from aigateway.callers import FernetSeal, FileStore, Peppers, StoredKeys, Visit, admit
from aigateway.errors import GatewayError
from aigateway.secrets import Secret


def main(path: str, encrypt: str, *roots: str) -> None:
    """Open the file and do as told."""
    secrets = [Secret(root) for root in roots]
    peppers = Peppers(secrets)
    # Every moment is a second after the one before: each look is due.
    seconds = itertools.count()
    seal = FernetSeal(secrets) if encrypt == "encrypt" else None
    store = FileStore(Path(path), peppers, seal=seal, now=lambda: float(next(seconds)))
    keys = StoredKeys(store, peppers)
    say("ready")
    for line in sys.stdin:
        say(run(store, keys, *json.loads(line)))


def say(answer: Any) -> None:
    """Answer with one line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def run(store: FileStore, keys: StoredKeys, what: str, *words: Any) -> Any:
    """Do one thing."""
    try:
        if what == "who":
            key, at = words
            return admit(drive(keys.find(key, at)) if keys.claims(key) else None, Visit(at)).name
        if what == "hammer":
            return hammer(store, *words)
        made = getattr(store, what)(words[0], **words[1])
        return made.reveal() if isinstance(made, Secret) else made
    except GatewayError as error:
        return {"error": type(error).__name__, "reason": getattr(error, "reason", error.message)}


def hammer(store: FileStore, prefix: str, times: int) -> dict[str, Any]:
    """Make keys, turn every second one over, end every third; tell what should be left."""
    left: dict[str, Any] = {"valid": {}, "ended": []}
    for turn in range(times):
        name = f"{prefix}{turn}"
        key = store.new(name, at=float(turn))
        if turn % 2:
            left["ended"].append(key.reveal())
            key = store.rotate(name, at=float(turn))
        if turn % 3 == 0:
            left["ended"].append(key.reveal())
            store.revoke(name, at=float(turn))
        else:
            left["valid"][name] = key.reveal()
    return left


def drive(coroutine: Any) -> Any:
    """Give what a coroutine returns that does not wait."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


if __name__ == "__main__":
    main(*sys.argv[1:])
