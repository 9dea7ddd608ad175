"""`model_list`: each deployment becomes a key of a provider and a target of a route."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ._advice import advised
from ._facts import facts_of, is_fact
from ._names import askable
from ._notes import Notes, Variables, as_number
from ._vendors import SERVERS, SPECIAL, own_address, vendor_of_model, vendor_of_name

__all__ = ["Deployment", "Models", "Provider"]

AZURE = (".openai.azure.com", ".cognitiveservices.azure.com")
# What people write where a server of theirs asks for no key.
NO_KEY = {"", "-", "anything", "dummy", "empty", "fake", "fake-key", "lm-studio", "no-key", "none", "not-needed"}
NO_KEY |= {"ollama", "vllm", "x", "xxx"}
MODES = {"chat", "completion", "responses", "embedding", "image_generation"}
TIMES = {"timeout": "answer", "stream_timeout": "first_content", "ttft_timeout": "first_content"}
TIMES |= {"stream_idle_timeout": "silence"}
READ = {"model", "api_key", "api_base", "base_url", "custom_llm_provider", "weight", "rpm", "tpm", "order", *TIMES}
READ |= {"max_parallel_requests", "organization", "litellm_credential_name", "api_version"}
NOTHING_TO_DO = {"drop_params", "max_retries", "additional_drop_params"}


@dataclass
class KeyUse:
    """What a key is used for, and how often it should be."""

    models: set[str] = field(default_factory=set)
    weight: float = 0.0
    concurrency: int = 0


@dataclass
class Provider:
    """One table of providers: a vendor, or a server, and its keys by reference."""

    name: str
    type: str = ""
    base_url: str = ""
    organization: str = ""
    keys: dict[str, KeyUse] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)


@dataclass
class Deployment:
    """One way to serve a model's name."""

    provider: Provider
    model: str
    weight: float = 1.0
    order: float = 1.0
    timeouts: dict[str, float] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Write it as a target."""
        return f"{self.provider.name}/{self.model}"


class Models:
    """Read `model_list` into providers and, by the name callers ask for, deployments."""

    def __init__(self, notes: Notes, variables: Variables, plugins: Collection[str]) -> None:
        self.providers: dict[tuple[str, str, str], Provider] = {}
        self.groups: dict[str, list[Deployment]] = {}
        self.wild: list[Deployment] = []  # every name goes there
        self.facts: dict[str, dict[str, Any]] = {}  # of models, by target
        self._notes = notes
        self._variables = variables
        self._plugins = plugins

    @property
    def catalogued(self) -> set[str]:
        """Name the providers that may bring a catalogue of their own."""
        return {provider.name for provider in self.providers.values() if provider.type != "openai-compatible"}

    def read(self, entries: object, credentials: Mapping[str, Mapping[str, Any]]) -> None:
        """Take each entry, or say why it is left out."""
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            params = entry.get("litellm_params") if isinstance(entry, dict) else None
            where = f"model_list[{index}]"
            if not isinstance(params, dict) or not isinstance(params.get("model"), str):
                self._notes.add(f"{where}: it has no litellm_params.model, so it is left out.")
                continue
            name = self._name(str(entry.get("model_name") or params["model"]), where)
            self._take(
                name, {**credentials.get(str(params.get("litellm_credential_name")), {}), **params}, entry, where
            )

    def _name(self, written: str, where: str) -> str:
        name = askable(written)
        if name != written:
            self._notes.add(f"{where} ({written}): a route cannot be named so; clients ask for {name!r} instead.")
        return name

    def _take(self, name: str, params: Mapping[str, Any], entry: Mapping[str, Any], where: str) -> None:
        info = entry.get("model_info")
        mode = (info.get("mode") if isinstance(info, dict) else None) or "chat"
        if not isinstance(mode, str) or mode not in MODES:
            self._notes.add(
                f"{where} ({name}): models of the mode {str(mode)[:64]!r} are not served here; it is left out."
            )
            return
        vendor, model = self._vendor(params)
        if not model.strip():
            self._notes.add(f"{where} ({name}): it names no model of {vendor[:64]!r}, so it is left out.")
            return
        provider = self._provider(vendor, params, f"{where} ({name})")
        if provider is None:
            return
        self._note_rest(name, params, entry, where)
        weight = _weight(params, entry)
        self._key(provider, vendor, model, {**params, "weight": weight}, f"{where} ({name})")
        made = Deployment(provider, model, weight, as_number(params.get("order")) or 1.0)
        made.timeouts = dict(self._times(params, f"{where} ({name})"))
        self._describe(made, params, info, f"{where} ({name})")
        self._group(name, made, where)

    def _describe(self, made: Deployment, params: Mapping[str, Any], info: object, where: str) -> None:
        facts = facts_of(params, info, self._notes, where)
        if not facts:
            return
        if "*" in made.model:
            self._notes.add(f"{where}: what it says of models is left out: write [models] for each that has a price.")
        elif self.facts.setdefault(made.target, facts) != facts:
            self._notes.add(f"{where}: {made.target} has other prices or windows above; the first ones count.")

    def _group(self, name: str, made: Deployment, where: str) -> None:
        if "*" not in made.model:
            (self.wild if name == "*" else self.groups.setdefault(name, [])).append(made)
            return
        known = "" if made.provider.type == "openai-compatible" else "; names of its catalogue do without the provider"
        self._notes.add(f"{where} ({name}): ask for {made.provider.name}/MODEL, which needs no route{known}.")

    def _vendor(self, params: Mapping[str, Any]) -> tuple[str, str]:
        """Split LiteLLM's name of a model into the vendor's, and the model's own."""
        model, said = str(params["model"]), params.get("custom_llm_provider")
        vendor, slash, rest = model.partition("/")
        if isinstance(said, str) and said:
            return said, model.removeprefix(f"{said}/")
        if slash and (vendor_of_name(vendor) or vendor in SERVERS or vendor in SPECIAL or vendor in self._plugins):
            return vendor, rest
        known = "openai" if model == "*" or params.get("api_base") else vendor_of_model(model)
        return (known, model) if known else (vendor, rest or model)

    def _provider(self, vendor: str, params: Mapping[str, Any], where: str) -> Provider | None:
        """Find or make the table; None, with a note, for what cannot be asked."""
        given = self._address(params.get("api_base") or params.get("base_url"), where)
        if given is None:
            return None
        kind, address = self._kind(vendor, given)
        if not kind:
            why = SPECIAL.get(vendor, "no plug-in of that name is installed, and no OpenAI-compatible address is known")
            self._notes.add(f"{where}: {vendor[:64]!r} is left out: {why}.")
            return None
        organization = params.get("organization")
        known = self.providers.get((kind, address, str(organization or "")))
        if known is None:
            known = Provider(self._free_name(vendor, kind, address), kind, address)
            if kind == "openai" and isinstance(organization, str):
                self._organize(known, organization, where)
            self.providers[kind, address, str(organization or "")] = known
        if vendor == "azure":
            self._notes.add(f"{where}: Azure is asked at its /openai/v1 address, which takes no api_version.")
        return known

    def _organize(self, provider: Provider, organization: str, where: str) -> None:
        if organization.startswith("os.environ/"):
            self._notes.add(f"{where}: write the organization into [providers.{provider.name}]; it is no secret.")
        else:
            provider.organization = organization

    def _kind(self, vendor: str, given: str) -> tuple[str, str]:
        """Give the plug-in and the address that has to be said; no plug-in for what cannot be asked."""
        if vendor in SERVERS:
            more, usual = SERVERS[vendor]
            address = (given.removesuffix(more) + more) if given else usual
            return ("openai-compatible", address) if address else ("", "")
        if vendor == "azure":
            host = urlsplit(given).hostname or ""
            return ("openai-compatible", f"https://{host}/openai/v1") if host.endswith(AZURE) else ("", "")
        if vendor == "openai" and own_address("openai", given or "https://api.openai.com"):
            return "openai-compatible", given  # LiteLLM's way to name any server
        if vendor in self._plugins:
            return vendor, own_address(vendor, given) if given else ""
        known = vendor_of_name(vendor)
        return ("openai-compatible", given or known.address) if known else ("", "")

    def _address(self, given: object, where: str) -> str | None:
        """Give an address without anything secret in it; None, with a note, where it cannot be known."""
        if not given:
            return ""
        text = self._variables.value(given)
        if text is None:
            self._notes.add(f"{where}: its api_base is in a variable that is not set; set it and convert again.")
            return None
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        if parts.scheme not in {"http", "https"} or not host:
            self._notes.add(f"{where}: its api_base is no http address, so it is left out.")
            return None
        if parts.query or parts.username or parts.password:
            self._notes.add(f"{where}: what its api_base says besides host and path is left out: it may be a secret.")
        shown = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path}".rstrip("/")

    def _free_name(self, vendor: str, kind: str, address: str) -> str:
        host = urlsplit(address).hostname or ""
        local = host in {"localhost", "::1", "0.0.0.0"} or host.startswith("127.")  # noqa: S104  # a name, no listener
        wanted = vendor if kind != "openai-compatible" or vendor != "openai" else "local" if local else host
        name = re.sub(r"[^a-zA-Z0-9_-]+", "-", wanted).strip("-") or "provider"
        taken = {provider.name for provider in self.providers.values()}
        return next(found for found in _numbered(name) if found not in taken)

    def _key(self, provider: Provider, vendor: str, model: str, params: Mapping[str, Any], where: str) -> None:
        provider.models.add(model)
        given, known = params.get("api_key"), vendor_of_name(vendor)
        if isinstance(given, str) and given.strip().lower() in NO_KEY:
            given = None
        own = provider.type == "openai-compatible" and (vendor in {*SERVERS, "openai"})
        if given is None and own:
            return  # a server of one's own, which asks for none
        usual = known.variables if known and not own else (f"{provider.name.upper().replace('-', '_')}_API_KEY",)
        reference = self._variables.reference(given, usual, where)
        use = provider.keys.setdefault(reference, KeyUse())
        use.models.add(model)
        use.weight += params["weight"]
        use.concurrency += int(as_number(params.get("max_parallel_requests")) or 0)

    def _times(self, params: Mapping[str, Any], where: str) -> Iterator[tuple[str, float]]:
        for name, ours in TIMES.items():
            if params.get(name) is None:
                continue
            seconds = as_number(params[name])
            if seconds is not None and 0 < seconds <= 86_400:
                yield ours, seconds
            else:
                self._notes.add(f"{where}: {name} is no number of seconds up to a day; the general one counts.")

    def _note_rest(self, name: str, params: Mapping[str, Any], entry: Mapping[str, Any], where: str) -> None:
        if any(limits.get(name) for limits in (params, entry) for name in ("rpm", "tpm")):
            self._notes.add(
                "model_list: rpm and tpm are weights here. A vendor's limits are read from its headers; limit callers "
                'with the guard "rate_limit".'
            )
        unknown = sorted({str(setting) for setting in params} - READ - NOTHING_TO_DO)
        for why, settings in advised(setting for setting in unknown if not is_fact(setting)).items():
            self._notes.add(f"{where} ({name}): {', '.join(settings)}: no counterpart; {why}.")


def _weight(params: Mapping[str, Any], entry: Mapping[str, Any]) -> float:
    """Give how often LiteLLM would take it: by weight, else by requests, else by tokens a minute."""
    for name in ("weight", "rpm", "tpm"):
        number = as_number(params.get(name, entry.get(name)))
        if number is not None:
            return min(max(number, 1e-4), 1e9) if number > 0 else 0.0
    return 1.0


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1
