"""The configuration `aigateway init` writes: what was found is active, everything else is a choice in a comment."""

from __future__ import annotations

from collections.abc import Iterator

from ._found import Found, Vendor
from ._toml import comment, header, line, value

__all__ = ["SCHEMA_FILE", "template"]

SCHEMA_FILE = "aigateway.schema.json"
ABOUT = {
    "weekly": "# A key that changes every week.",
    "jwt": "# Tokens that somebody else signs; needs aigateway[jwt].",
}
ROOT = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


def template(found: Found, *, minimal: bool = False, schema: bool = False) -> str:
    """Write the configuration of what was found; `minimal` leaves the comments out."""
    lines = [*_top(found, schema=schema), *_providers(found), *_route(found), *_callers(found)]
    lines += [*_guards(found), *_state(found), *_server()]
    if minimal:
        lines = [written.partition("  # ")[0].rstrip() for written in lines if not written.lstrip().startswith("#")]
        lines = [now for before, now in zip(["", *lines], lines, strict=False) if now or before]
    return "\n".join(lines).strip("\n") + "\n"


def _top(found: Found, *, schema: bool) -> Iterator[str]:
    if schema:
        yield f"#:schema ./{SCHEMA_FILE}"
    yield "# The configuration of aigateway. `aigateway check` reads it, sends nothing, and says what it means."
    yield "# Secrets stay where they are: env:NAME is a variable, file:PATH a file. What is commented out is a choice."
    yield ""
    off = "" if found.ready else "# "
    yield f'{off}default_model = "smart"    # for requests that name no model'
    yield 'unknown_models = "refuse"  # or "default": the default model answers for names nobody knows'
    yield f'{off}fallback = "smart"         # where a named model goes on when its own provider fails'


def _providers(found: Found) -> Iterator[str]:
    yield from ("", "# --- Vendors, each with a list of keys. A key of another account has its own quota_group:")
    yield '# keys = [{ secret = "env:KEY_A" }, { secret = "file:b.key", quota_group = "team-b" }]'
    for vendor in found.vendors:
        yield ""
        if vendor.missing:
            yield comment(f"To use {vendor.name}: {vendor.missing}.")
        yield from _off(vendor, header("providers", vendor.name))
        yield from _off(vendor, line("keys", [{"secret": f"env:{vendor.variable}"}]))
    yield from ("", "# Any server that speaks OpenAI's dialect, here one on this machine. Ask it for local/MODEL.")
    yield from ("# [providers.local]", '# type = "openai-compatible"', '# base_url = "http://127.0.0.1:8081/v1"')


def _off(vendor: Vendor, written: str) -> Iterator[str]:
    for part in written.splitlines():
        yield f"# {part}" if vendor.missing else part


def _route(found: Found) -> Iterator[str]:
    yield from ("", "# --- Routes: a name callers ask for, and the targets it stands for. The first that can, answers.")
    off = "" if found.ready else "# "
    yield from ("", f"{off}[routes.smart]", f"{off}targets = [")
    for vendor in found.vendors:
        yield f"{off}  {'# ' if vendor.missing and not off else ''}{value(f'{vendor.name}/{vendor.model}')},"
    yield f"{off}]"
    yield '# policy = "fastest"                 # or weighted, cheapest, round_robin, least_busy, sticky, experiment'
    yield "# timeouts = { first_content = 20 }  # seconds; go on to the next target when it is late"
    yield '# recovery = "buffer"                # a stream that breaks is answered whole by the next target'


def _callers(found: Found) -> Iterator[str]:
    yield from ("", "# --- Client keys. Without any, only this machine is served.")
    for name, variable, scopes in found.client_keys:
        yield from ("", header("callers", "keys", many=True), line("name", name))
        yield from (line("secret", f"env:{variable}"), line("scopes", scopes))
    if not found.client_keys:
        yield from ("# [[callers.keys]]", '# name = "editor"', '# secret = "env:AI_GATEWAY_GATEWAY_API_KEY"')
    yield from ("", "# Keys made with `aigateway callers new NAME`. The root is made once:", f"# {ROOT}")
    off = "" if "SECRET_KEY" in found.roots else "# "
    yield from (f"{off}[callers]", '# store = "file:callers.json"', f'{off}roots = ["env:SECRET_KEY"]')
    for name, variable, setting in (("weekly", "ADMIN_SECRET", "root"), ("jwt", "JWT_SECRET", "secret")):
        off = "" if variable in found.roots else "# "
        yield from ("", ABOUT[name], f"{off}[callers.{name}]", off + line(setting, f"env:{variable}"))


def _guards(found: Found) -> Iterator[str]:
    yield from ("", "# --- Guards surround every call, in this order; `aigateway serve` adds those a server needs.")
    for name, settings in found.guards.items():
        yield from ("", "# [[guards]]", f"# {line('use', name)}")
        for setting, default in settings.items():
            if isinstance(default, str | int | float | bool | list):
                yield f"# {line(setting, default)}"


def _state(found: Found) -> Iterator[str]:
    yield from ("", "# --- What is remembered between calls: in this process, a file, or Redis (aigateway-redis).", "")
    if found.redis:
        yield from ("[state]", 'url = "env:REDIS_URL"')
    else:
        yield from ("# [state]", '# url = "file:state.json"')


def _server() -> Iterator[str]:
    yield from ("", "# --- The server.", "", "# [server]")
    yield from ('# host = "127.0.0.1"  # another address needs client keys', "# port = 8000")
    yield from ("", "# [timeouts]          # seconds", "# first_content = 60.0", "# total = 600.0")
