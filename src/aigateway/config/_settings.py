"""What can be set, with its default; anything else is refused.

The tables mirror `aigateway.toml`. A value that names a secret is read when the settings are, so
a wrong name stops the start and not a request.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationInfo

from ..errors import ConfigurationError
from ..secrets import Secret
from ._callers import CallerSettings
from ._environment import VENDORS
from ._origin import Context
from ._routes import RetrySettings, RouteSettings, TimeoutSettings
from ._server import DecisionSettings, ServerSettings
from ._tables import Moment, SecretReference, Table, read_secret
from .models import ModelSettings

__all__ = ["GuardSettings", "KeySettings", "ProviderSettings", "Settings"]

FROM_ENVIRONMENT = "the environment"
URL = re.compile(r"(memory:$|file:.|[a-z][a-z0-9+.-]*://.)", re.ASCII)


class KeySettings(Table):
    """One vendor key. Keys with one `quota_group` share the account's limits."""

    allow_literal: bool = False  # before `secret`, which reads it
    secret: SecretReference
    quota_group: str = "default"
    weight: Annotated[int, Field(ge=1, le=1_000_000)] = 1
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


def _read_url(value: object, info: ValidationInfo) -> object:
    """Keep a URL as the secret it may be; `env:NAME` names a variable that holds it."""
    if not isinstance(value, str):
        return value
    url = read_secret(value, info) if value.startswith("env:") else Secret(value)
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
    max_context_length: Annotated[int, Field(ge=1)] | None = None


class Settings(Table):
    """Everything a gateway is built from."""

    default_model: str = ""
    unknown_models: Literal["refuse", "default"] = "refuse"
    fallback: str = ""
    providers: dict[str, ProviderSettings] = {}
    models: dict[str, ModelSettings] = {}
    routes: dict[str, RouteSettings] = {}
    timeouts: TimeoutSettings = TimeoutSettings()
    retries: RetrySettings = RetrySettings()
    transport: TransportSettings = TransportSettings()
    guards: list[GuardSettings] = []
    callers: CallerSettings = CallerSettings()
    state: StateSettings = StateSettings()
    limits: LimitSettings = LimitSettings()
    decisions: DecisionSettings = DecisionSettings()
    server: ServerSettings = ServerSettings()
    plugins: list[str] | None = None

    _sandbox: bool = PrivateAttr(default=False)
    _added: int = PrivateAttr(default=0)  # guards that stand before those that are written down
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

    def with_added(self, guards: list[GuardSettings]) -> Settings:
        """Put guards before those that are written down."""
        added = self.model_copy(update={"guards": [*guards, *self.guards]})
        added._added = self._added + len(guards)  # noqa: SLF001  # one of us
        return added

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
        if path[0] == "guards" and len(path) > 1 and isinstance(path[1], int):
            path = ("guards", path[1] - self._added, *path[2:])
        return self._context.where(path)
