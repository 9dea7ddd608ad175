"""What every table of the configuration is made of: strict values, references to secrets, moments."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from ..errors import ConfigurationError
from ..secrets import Elsewhere, Secret, resolve
from ._origin import Context

__all__ = ["Moment", "Seconds", "SecretReference", "Table", "read_secret"]

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class Table(BaseModel):
    """Refuse unknown names, never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


def read_secret(value: object, info: ValidationInfo) -> object:
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


SecretReference = Annotated[Secret, BeforeValidator(read_secret)]


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
