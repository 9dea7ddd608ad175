"""What one request says of where it may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import RequestError

__all__ = ["Routing"]


@dataclass(frozen=True, slots=True)
class Routing:
    """Say, for one request, where it may go. `models` are tried after the named model."""

    models: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fallback: bool | None = None

    @classmethod
    def parse(cls, value: object) -> Routing:
        """Read the `routing` object of a request. Raises RequestError naming the wrong field."""
        if value is None:
            return cls()
        if not isinstance(value, Mapping):
            raise RequestError('\'routing\' must be an object, such as {"only": ["groq"]}', param="routing")
        unknown = set(value) - {"models", "only", "ignore", "fallback"}
        if unknown:
            name = min(map(str, unknown))
            raise RequestError(
                f"'routing.{name}' is not known; use models, only, ignore or fallback", param=f"routing.{name}"
            )
        fallback = value.get("fallback")
        if fallback is not None and not isinstance(fallback, bool):
            raise RequestError("'routing.fallback' must be true or false", param="routing.fallback")
        names = {field: _names(field, value.get(field)) for field in ("models", "only", "ignore")}
        return cls(**names, fallback=fallback)


def _names(field: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise RequestError(f"'routing.{field}' must be a list of names", param=f"routing.{field}")
