"""What can be set, with its default; anything else is refused.

The tables mirror `aigateway.toml`. A value that names a secret is read when the settings are, so
a wrong name stops the start and not a request.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)

from ..errors import ConfigurationError
from ..secrets import Elsewhere, Secret, resolve
from ..types import Hedge, Recovery, Retries, Target, Terms, Timeouts
from ._environment import VENDORS
from ._origin import Context

__all__ = [
    "CallerKey", "KeySettings", "ProviderSettings", "RouteSettings", "ServerSettings", "Settings", "TokenSettings",
]  # fmt: skip  # a list of names

FROM_ENVIRONMENT = "the environment"
# Characters held back where a route says `recovery = "hold"` and no number: a few sentences.
HELD = 400
PLACE = re.compile(r"[a-z][a-z0-9_]{1,15}:.", re.ASCII)
URL = re.compile(r"(memory:$|file:.|[a-z][a-z0-9+.-]*://.)", re.ASCII)
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class Table(BaseModel):
    """Refuse unknown names, never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


def _read_secret(value: object, info: ValidationInfo) -> object:
    """Turn a reference into the secret it names."""
    if not isinstance(value, str):
        return value
    context = info.context if isinstance(info.context, Context) else Context()
    literal = bool(info.data.get("allow_literal"))
    try:
        secret = resolve(value, context.environ, allow_literal=literal, base=context.base)
    except ConfigurationError as error:
        raise ValueError(error.message) from None
    if isinstance(secret, Elsewhere):
        context.elsewhere.append(secret)
    return secret


SecretReference = Annotated[Secret, BeforeValidator(_read_secret)]


def _as_moment(value: object) -> object:
    """Read a date or a time; without a zone it is UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:  # whose words repeat what was written
            raise ValueError("must be a date or a time, such as 2027-01-31") from None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.combine(value, time.min, UTC) if isinstance(value, date) else value


Moment = Annotated[datetime, BeforeValidator(_as_moment)]


class KeySettings(Table):
    """One vendor key. Keys with one `quota_group` share the account's limits."""

    allow_literal: bool = False  # before `secret`, which reads it
    secret: SecretReference
    quota_group: str = "default"
    weight: Annotated[int, Field(ge=1)] = 1
    models: list[str] = []
    expires: Moment | None = None
    concurrency: Annotated[int, Field(ge=0)] = 0


def _with_scheme(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"must begin with https:// or http://, not {url[:40]!r}")
    return url


class ProviderSettings(Table):
    """One provider; names that are not here are the plug-in's own settings."""

    model_config = ConfigDict(extra="allow")

    type: str = ""
    base_url: Annotated[str, AfterValidator(_with_scheme)] | None = None
    keys: list[KeySettings] = []
    rotation: Annotated[str, Field(min_length=1)] = "round_robin"
    grace: Annotated[float, Field(ge=0, le=604_800, allow_inf_nan=False)] = 300.0
    drain: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 0.0

    @property
    def own(self) -> dict[str, Any]:
        """Give the plug-in's own settings."""
        return dict(self.__pydantic_extra__ or {})


class TimeoutSettings(Table):
    """Limits in seconds; what is not given is inherited."""

    connect: Seconds | None = None
    first_content: Seconds | None = None
    silence: Seconds | None = None
    answer: Seconds | None = None
    total: Seconds | None = None

    def over(self, base: Timeouts) -> Timeouts:
        """Lay what is given over `base`."""
        return replace(base, **self.model_dump(exclude_none=True))


class RetrySettings(Table):
    """Bounds of the attempts of one request; what is not given is inherited."""

    attempts: Annotated[int, Field(ge=1, le=20)] | None = None
    same_target: Annotated[int, Field(ge=0, le=10)] | None = None
    patience: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] | None = None
    wait: bool | None = None

    def over(self, base: Retries) -> Retries:
        """Lay what is given over `base`."""
        return replace(base, **self.model_dump(exclude_none=True))


class HedgeSettings(Table):
    """When a second target is asked besides the first."""

    quantile: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    extra: Annotated[float, Field(gt=0, le=0.5)] = 0.05


class TargetSettings(Table):
    """One target of a route, when it needs more than its name."""

    to: Annotated[str, Field(min_length=1)]
    weight: Annotated[int, Field(ge=1)] = 1
    timeouts: TimeoutSettings = TimeoutSettings()


def _as_target(value: object) -> object:
    return {"to": value} if isinstance(value, str) else value


class RouteSettings(Table):
    """A name callers may ask for, and the targets it stands for."""

    policy: Annotated[str, Field(min_length=1)] = "priority"
    targets: Annotated[list[Annotated[TargetSettings, BeforeValidator(_as_target)]], Field(min_length=1)]
    timeouts: TimeoutSettings = TimeoutSettings()
    retries: RetrySettings = RetrySettings()
    recovery: Recovery = "terminate"
    hold: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    hedge: HedgeSettings | None = None

    @model_validator(mode="after")
    def _hold_goes_with_its_mode(self) -> Self:
        if self.hold is not None and self.recovery != "hold":
            raise ValueError('`hold` counts characters for recovery = "hold"; set that too, or leave `hold` out')
        return self

    def terms(self, base: Retries) -> Terms:
        """Say how far the route goes for an answer."""
        hold = (self.hold or HELD) if self.recovery == "hold" else 0
        hedge = Hedge(self.hedge.quantile, self.hedge.extra) if self.hedge else None
        return Terms(self.retries.over(base), self.recovery, hold, hedge, self.timeouts.total)

    def build(self, base: Timeouts) -> tuple[Target, ...]:
        """Give the targets; `to` without a provider is left for the gateway to look up."""
        limits = self.timeouts.over(base)
        return tuple(
            Target(*_split(target.to), weight=target.weight, timeouts=target.timeouts.over(limits))
            for target in self.targets
        )


def _split(name: str) -> tuple[str, str]:
    provider, slash, model = name.partition("/")
    return (provider, model) if slash else ("", name)


class TransportSettings(Table):
    """Which door to the network."""

    kind: Literal["auto", "httpx2", "aiohttp"] = "auto"


class GuardSettings(Table):
    """One guard; names that are not here are its own settings."""

    model_config = ConfigDict(extra="allow")

    use: str

    @property
    def own(self) -> dict[str, Any]:
        """Give the guard's own settings."""
        return dict(self.__pydantic_extra__ or {})


ClientScope = Literal["chat", "admin"]
ClientName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Duration = Annotated[float, Field(ge=0, le=604_800, allow_inf_nan=False)]


class CallerKey(Table):
    """A key a client may come with, and what it allows."""

    name: ClientName
    allow_literal: bool = False  # before `secret`, which reads it
    secret: SecretReference
    scopes: list[ClientScope] = ["chat"]
    models: list[str] = []
    networks: list[str] = []
    domains: list[str] = []
    starts: Moment | None = None
    expires: Moment | None = None


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


def _read_url(value: object, info: ValidationInfo) -> object:
    """Keep a URL as the secret it may be; `env:NAME` names a variable that holds it."""
    if not isinstance(value, str):
        return value
    url = _read_secret(value, info) if value.startswith("env:") else Secret(value)
    if isinstance(url, Secret) and not URL.match(url.reveal()):
        raise ValueError('must be "memory:" or "file:PATH", or begin with a scheme a plug-in offers, such as redis://')
    return url


class StateSettings(Table):
    """Where facts are kept."""

    url: Annotated[Secret, BeforeValidator(_read_url)] = Secret("memory:")

    @property
    def scheme(self) -> str:
        """Name the kind of place, `memory` for this process."""
        return self.url.reveal().partition(":")[0]


class LimitSettings(Table):
    """Caps on what one request may ask; unset means the model's own."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None


class ServerSettings(Table):
    """How `aigateway serve` listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    debug: bool = False
    log_requests: bool = True
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    drain: Seconds = 30.0
    write_timeout: Seconds = 60.0


class Settings(Table):
    """Everything a gateway is built from."""

    default_model: str = ""
    unknown_models: Literal["refuse", "default"] = "refuse"
    fallback: str = ""
    providers: dict[str, ProviderSettings] = {}
    routes: dict[str, RouteSettings] = {}
    timeouts: TimeoutSettings = TimeoutSettings()
    retries: RetrySettings = RetrySettings()
    transport: TransportSettings = TransportSettings()
    guards: list[GuardSettings] = []
    callers: CallerSettings = CallerSettings()
    state: StateSettings = StateSettings()
    limits: LimitSettings = LimitSettings()
    server: ServerSettings = ServerSettings()
    plugins: list[str] | None = None

    _sandbox: bool = PrivateAttr(default=False)
    _context: Context = PrivateAttr(default_factory=Context)
    _warnings: list[str] = PrivateAttr(default_factory=list)

    def with_providers(self, way_on: str = "try `aigateway demo`") -> Settings:
        """Give the settings, if they name a provider. Raises ConfigurationError that says both ways on."""
        if self.providers:
            return self
        if self._context.text or self.origin != FROM_ENVIRONMENT:
            fix = 'Add [providers.deepseek] with keys = [{ secret = "env:DEEPSEEK_API_KEY" }]; keys in the environment '
            fix += "count by themselves only without a configuration file"
            raise ConfigurationError(f"{self.origin} lists no provider. {fix}. Or {way_on}: it needs no key.")
        names = ", ".join(variable for _, variable, _ in VENDORS)
        raise ConfigurationError(
            f"no vendor key was found in {self.origin}. Set one of {names} (or list providers in aigateway.toml), "
            f"or {way_on}, on local stand-in vendors."
        )

    def described(self, context: Context, warnings: list[str], *, sandbox: bool = False) -> Settings:
        """Note where the settings came from; for whoever has just made them."""
        self._context, self._warnings, self._sandbox = context, warnings, sandbox
        return self

    @property
    def context(self) -> Context:
        """Give what the settings were read with."""
        return self._context

    @property
    def origin(self) -> str:
        """Say where the settings came from."""
        return self._context.origin

    @property
    def sandbox(self) -> bool:
        """Tell whether the vendors are local stand-ins; no file or variable can say so."""
        return self._sandbox

    @property
    def warnings(self) -> list[str]:
        """List what was understood but has no effect."""
        return self._warnings

    def locate(self, *path: str | int) -> str:
        """Say where in the configuration a setting stands, such as `aigateway.toml, line 7`."""
        return self._context.where(path)
