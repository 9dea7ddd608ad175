"""`router_settings`, `litellm_settings` and `general_settings`: what has a counterpart, and a line on the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._advice import ADVICE, NOTHING_TO_DO, SECTIONS
from ._names import askable
from ._notes import Notes, Variables, as_number

__all__ = ["Options", "read_options"]

POLICIES = {
    "simple-shuffle": "weighted",
    "least-busy": "least_busy",
    "latency-based-routing": "fastest",
    "cost-based-routing": "cheapest",
    "usage-based-routing": "least_busy",
    "usage-based-routing-v2": "least_busy",
}
CONVERTED = ("model_list", "litellm_settings", "router_settings", "general_settings", "credential_list")
REDIS = {"redis_host", "redis_port", "redis_password", "redis_db", "redis_url", "redis_username", "redis_ssl"}


@dataclass
class Options:
    """What is not about one model."""

    policy: str = "weighted"
    retries: dict[str, int] = field(default_factory=dict)
    timeouts: dict[str, float] = field(default_factory=dict)
    fallbacks: dict[str, list[str]] = field(default_factory=dict)
    default_fallbacks: list[str] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    master: str = ""
    redis: str = ""
    guards: list[dict[str, Any]] = field(default_factory=list)


class Reader:
    """Take each setting once; those of the router win over the library's, as they do there."""

    def __init__(self, notes: Notes, variables: Variables, available: Mapping[str, Collection[str]]) -> None:
        self.options = Options()
        self._notes = notes
        self._variables = variables
        self._available = available
        self._section = ""

    def read(self, section: str, settings: object) -> None:
        """Take a section's settings, or say what becomes of them."""
        self._section = section
        for name, given in settings.items() if isinstance(settings, dict) else ():
            take: Callable[[Any], None] | None = (
                getattr(self, f"_take_{name}", None) if str(name).isidentifier() else None
            )
            if given in (None, "", [], {}) or (given is False and take is None):
                continue
            if take is not None:
                take(given)
            elif name in REDIS:
                self._redis(str(name), given)
            else:
                self._say(str(name))

    def _say(self, name: str, instead: str = "") -> None:
        if name in NOTHING_TO_DO and not instead:
            self._notes.add(f"{self._section}.{name}: nothing to do: {NOTHING_TO_DO[name]}.")
            return
        what = instead or ADVICE.get(name) or "look for the same need in docs/reference/configuration.md"
        self._notes.add(f"{self._section}.{name}: no counterpart; {what}.")

    # -- retries and times ------------------------------------------------------------------

    def _take_num_retries(self, given: object) -> None:
        number = as_number(given)
        if number is None or number < 0:
            self._say("num_retries", "it is no number")
            return
        self.options.retries = {"attempts": min(int(number) + 1, 20)} | ({"same_target": 0} if number < 1 else {})

    def _take_timeout(self, given: object) -> None:
        self._seconds("timeout", "answer", given)

    def _take_request_timeout(self, given: object) -> None:
        self._seconds("request_timeout", "answer", given)

    def _take_stream_timeout(self, given: object) -> None:
        self._seconds("stream_timeout", "first_content", given)

    def _take_ttft_timeout(self, given: object) -> None:
        self._seconds("ttft_timeout", "first_content", given)

    def _take_stream_idle_timeout(self, given: object) -> None:
        self._seconds("stream_idle_timeout", "silence", given)

    def _seconds(self, name: str, ours: str, given: object) -> None:
        seconds = as_number(given)
        if seconds is None or not 0 < seconds <= 86_400:
            self._say(name, "it is no number of seconds up to a day")
            return
        self.options.timeouts[ours] = seconds
        if seconds > 600:
            self.options.timeouts["total"] = max(seconds, self.options.timeouts.get("total", 0))

    # -- where requests go ------------------------------------------------------------------

    def _take_routing_strategy(self, given: object) -> None:
        policy = POLICIES.get(str(given))
        if policy is None:
            self._say("routing_strategy", f'{str(given)[:64]!r} is not there; routes are given policy = "weighted"')
            return
        self.options.policy = policy
        if str(given).startswith("usage"):
            self._notes.add(f'{self._section}.routing_strategy: usage is nearest to policy = "least_busy".')

    def _take_fallbacks(self, given: object) -> None:
        self._chain("fallbacks", given)

    def _take_context_window_fallbacks(self, given: object) -> None:
        self._chain("context_window_fallbacks", given)
        self._notes.add(
            f"{self._section}.context_window_fallbacks: they stand at the end of their routes, for other failures, too."
        )

    def _chain(self, name: str, given: object) -> None:
        for entry in given if isinstance(given, list) else [given]:
            for model, others in entry.items() if isinstance(entry, dict) else ():
                names = [
                    other for other in (others if isinstance(others, list) else [others]) if isinstance(other, str)
                ]
                names = [askable(name) for name in names]
                if model == "*":
                    self.options.default_fallbacks += names
                elif names:
                    known = self.options.fallbacks.setdefault(askable(str(model)), [])
                    known += [other for other in names if other not in known]
                else:
                    self._say(name, f"that of {str(model)[:64]!r} names no model")

    def _take_default_fallbacks(self, given: object) -> None:
        self.options.default_fallbacks += (
            [askable(name) for name in given if isinstance(name, str)] if isinstance(given, list) else []
        )

    def _take_model_group_alias(self, given: object) -> None:
        for alias, stands_for in given.items() if isinstance(given, dict) else ():
            named = stands_for.get("model") if isinstance(stands_for, dict) else stands_for
            if isinstance(named, str):
                name = askable(str(alias))
                self.options.aliases[name] = askable(named)
                if name != alias:
                    self._notes.add(f"{self._section}.model_group_alias: {alias!r}: clients ask for {name!r} instead.")

    # -- who asks, and what is kept ---------------------------------------------------------

    def _take_master_key(self, given: object) -> None:
        where = f"{self._section}.master_key"
        self.options.master = self._variables.reference(given, ("AI_GATEWAY_ADMIN_API_KEY",), where)

    def _redis(self, name: str, given: object) -> None:
        if name != "redis_url":
            self._say("redis_host", 'put the whole address into a variable and write [state] url = "env:REDIS_URL"')
        elif "redis" not in self._available["state"]:
            self._say("redis_url", "install aigateway-redis and convert again")
        else:
            self.options.redis = self._variables.reference(given, ("REDIS_URL",), f"{self._section}.redis_url")

    def _take_cache(self, given: object) -> None:
        if given is not True:
            return
        if "cache" in self._available["guard"]:
            self.options.guards.append({"use": "cache"})
        else:
            self._say("cache", "no guard of that name is installed")

    def _take_cache_params(self, given: object) -> None:
        if "cache" not in self._available["guard"] or not isinstance(given, dict):
            return
        seconds = given.get("ttl")
        guard = next((guard for guard in self.options.guards if guard["use"] == "cache"), None)
        if guard is not None and isinstance(seconds, int | float) and 1 <= seconds <= 10**9:
            guard["seconds"] = int(seconds)
        self._notes.add(f"{self._section}.cache_params: of these only ttl is taken; see the guard's own settings.")


def read_options(
    data: Mapping[str, Any], notes: Notes, variables: Variables, available: Mapping[str, Collection[str]]
) -> Options:
    """Read everything beside the models; every setting is taken or spoken of."""
    reader = Reader(notes, variables, available)
    for section in ("litellm_settings", "router_settings", "general_settings"):
        reader.read(section, data.get(section))
    for name in data:
        if name not in CONVERTED:
            instead = SECTIONS.get(name, "look for the same need in docs/reference/configuration.md")
            notes.add(f"{name}: no counterpart; {instead}.")
    return reader.options
