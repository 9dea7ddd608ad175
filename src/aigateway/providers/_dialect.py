"""A vendor as data: what its OpenAI-compatible API renames, refuses, adds and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import Kind
from ._classify import Rule

__all__ = ["Dialect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Describe one vendor. Durations are seconds.

    `paths` lists what the vendor offers besides chat: the operation's name, and its path below `base_url`.
    `rename` maps our field names to the vendor's; `drop` and `message_drop` list fields it
    refuses; `roles` maps roles it does not know; `defaults` are sent unless the caller set them.
    `reasoning` names the field its answers carry thoughts in. `finish_failures` are finish
    reasons that mean the answer failed. `errors` is its error table, first match wins. `prefill` says that it
    goes on with an assistant's message that stands last, `one_choice` that it gives one answer whatever `n`
    asks for. `charged` names the field of its usage that says, in US dollars, what it charged.
    """

    base_url: str
    path: str = "/chat/completions"
    paths: Mapping[str, str] = field(default_factory=dict)
    auth_header: str = "authorization"
    auth_prefix: str = "Bearer "
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    message_drop: frozenset[str] = frozenset()
    roles: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    reasoning: str = "reasoning_content"
    finish_failures: Mapping[str, Kind] = field(default_factory=dict)
    errors: Sequence[Rule] = ()
    asks_usage: bool = True
    prefill: bool = False
    one_choice: bool = False
    charged: str = ""
