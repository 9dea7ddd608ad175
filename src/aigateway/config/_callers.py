"""The tables of client keys: who may ask over HTTP."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ._tables import Moment, SecretReference, Table

__all__ = ["CallerKey", "CallerSettings", "TokenSettings", "WeeklySettings"]

PLACE = re.compile(r"[a-z][a-z0-9_]{1,15}:.", re.ASCII)
# What the tenants of keys begin with that are not in the configuration.
SORTS = frozenset({"jwt", "stored", "weekly"})
ClientScope = Literal["chat", "admin"]
ClientName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Duration = Annotated[float, Field(ge=0, le=604_800, allow_inf_nan=False)]


def _of_no_other_sort(name: str) -> str:
    """Refuse the names that tenants of other keys have: who shares one shares kept answers and limits."""
    sort, colon, _ = name.partition(":")
    if colon and sort in SORTS:
        raise ValueError(f"must not begin with {sort}:, as the tenants of other keys do")
    return name


class CallerKey(Table):
    """A key a client may come with, and what it allows."""

    name: Annotated[ClientName, AfterValidator(_of_no_other_sort)]
    allow_literal: bool = False  # before `secret`, which reads it
    secret: SecretReference
    scopes: list[ClientScope] = ["chat"]
    models: list[str] = []
    networks: list[str] = []
    domains: list[str] = []
    starts: Moment | None = None
    expires: Moment | None = None
    requests_per_minute: Annotated[int, Field(ge=0)] = 0
    tokens_per_minute: Annotated[int, Field(ge=0)] = 0


class WeeklySettings(Table):
    """Keys that change every week by themselves."""

    allow_literal: bool = False  # before `root`, which reads it
    root: SecretReference
    clients: Annotated[list[ClientName], Field(min_length=1)] = ["weekly"]
    grace: Duration = 0.0
    skew: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 0.0
    deny: list[ClientName] = []


class TokenSettings(Table):
    """Bearer tokens signed by somebody else."""

    allow_literal: bool = False  # before `secret`, which reads it
    secret: SecretReference | None = None
    jwks: str | None = None
    algorithms: Annotated[list[str], Field(min_length=1)] = ["HS256"]
    audience: str | None = None
    issuer: str | None = None
    leeway: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 0.0
    scopes: list[ClientScope] = ["chat"]


def _with_place(store: str) -> str:
    if not PLACE.match(store):
        raise ValueError('must be "file:PATH", or begin with a scheme a plug-in offers')
    return store


Place = Annotated[str, AfterValidator(_with_place)]


class CallerSettings(Table):
    """Who may ask over HTTP."""

    keys: list[CallerKey] = []
    weekly: WeeklySettings | None = None
    jwt: TokenSettings | None = None
    store: Annotated[Annotated[str, AfterValidator(_with_place)] | None, Field(repr=False)] = (
        None  # may hold a password
    )
    roots: list[SecretReference] = []
    encrypt: bool = False
    proxies: Annotated[int, Field(ge=0, le=16)] = 0

    @property
    def any(self) -> bool:
        """Tell whether there is any key to come with."""
        return bool(self.keys or self.weekly or self.jwt or self.store)
