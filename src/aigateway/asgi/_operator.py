"""What operators ask: the weekly key, and the state of vendor keys."""

from __future__ import annotations

from urllib.parse import parse_qs

from pydantic_core import to_json

from ..errors import ConfigurationError, Forbidden, RequestError
from ..guards import CONTENT_TYPE, Metrics
from ..secrets import Secret
from ._incoming import Incoming
from ._who import Inside

__all__ = ["ClearRests", "CurrentKey", "Keys", "MetricsPage", "ReloadAll", "ReloadKeys"]


class CurrentKey:
    """Answer GET /current-key for who sends the root secret in the header `admin-secret`."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway
        self._weekly = inside.who.weekly

    async def __call__(self, request: Incoming) -> None:
        """Give the key of the first client, or of the one the query names, and how long it is valid."""
        weekly, now = self._weekly, self._gateway.clock.wall()
        if weekly is None:
            raise RequestError("there are no weekly keys here. Configure [callers.weekly].", status=404)
        sent = request.headers.get("admin-secret", "")
        if "admin-secret" in request.repeated or not weekly.is_root(sent):
            request.why = "a wrong root secret" if sent else "no root secret"
            request.tried = Secret(sent[:1024]).id if sent else ""
            raise Forbidden("the header admin-secret is missing or wrong.")
        named = parse_qs(bytes(request.scope.get("query_string", b""))[:1024].decode("latin-1")).get("client")
        client = named[0] if named else weekly.clients[0]
        if client not in weekly.clients:
            raise RequestError(f"there is no weekly client {client[:64]!r}.", status=404, param="client")
        body = {
            "api_key": weekly.key(client, now).reveal(),
            "expiry": weekly.ends(now).isoformat(),
            "days_remaining": weekly.days_left(now),
        }
        await request.answer(to_json(body), headers={"cache-control": "no-store"})


class Keys:
    """Answer GET /admin/keys: every vendor key, without showing one."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """List them."""
        await request.answer(to_json({"keys": self._gateway.vendor_keys()}))


class ReloadKeys:
    """Answer POST /admin/keys/reload: look at the files of vendor keys now."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """Count what was replaced."""
        replaced = sum(ring.look(now=True) for ring in self._gateway.parts.rings.values())
        await request.answer(to_json({"replaced": replaced}))


class ReloadAll:
    """Answer POST /admin/reload: load the configuration again, in every process."""

    def __init__(self, inside: Inside) -> None:
        self._reload = inside.reload

    async def __call__(self, request: Incoming) -> None:
        """Say what needs a restart. Raises RequestError where the new configuration is wrong: nothing has changed."""
        try:
            warnings = await self._reload()
        except ConfigurationError as error:
            raise RequestError(f"nothing was reloaded: {error.message}", code="configuration") from None
        await request.answer(to_json({"reloaded": True, "warnings": warnings}))


class ClearRests:
    """Answer POST /admin/rests/clear?provider=NAME: what rests there may be asked again at once."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """Count what was cleared."""
        named = parse_qs(bytes(request.scope.get("query_string", b""))[:1024].decode("latin-1")).get("provider")
        providers = named or list(self._gateway.parts.providers)
        if unknown := set(providers) - set(self._gateway.parts.providers):
            raise RequestError(f"there is no provider {unknown.pop()[:64]!r}.", status=404, param="provider")
        cleared = sum(self._gateway.memory.rests.clear_all(provider) for provider in providers)
        await request.answer(to_json({"cleared": cleared}))


class MetricsPage:
    """Answer GET /metrics: what Prometheus reads."""

    def __init__(self, inside: Inside) -> None:
        self._gateway = inside.gateway

    async def __call__(self, request: Incoming) -> None:
        """Write all figures, those of other workers included."""
        found = next((guard for guard in self._gateway.parts.guards if isinstance(guard, Metrics)), None)
        if found is None:
            raise RequestError(
                "nothing is measured here. Run pip install prometheus-client, and start `aigateway serve` again; "
                'in another server add [[guards]] use = "metrics" as well.',
                status=404,
            )
        await request.answer(found.page(), headers={"cache-control": "no-store"}, kind=CONTENT_TYPE.encode())
