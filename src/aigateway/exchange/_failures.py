"""Turn what a transport raises into what the loops read."""

from __future__ import annotations

from ..errors import REMEDIES, Kind, ProviderError, Remedy, Scope, WireError
from ..secrets import Secret, mask
from ..types import Target

__all__ = ["from_wire", "placed"]

# The connection broke after the request was sent and before content: it may have been billed.
BROKE = Remedy(True, "no", "yes", "ok", Scope.MODEL, "maybe")


def from_wire(error: WireError) -> ProviderError:
    """Classify a transport's failure."""
    remedy = BROKE if error.kind is Kind.STREAM_INTERRUPTED else REMEDIES[error.kind]
    return ProviderError(error.kind, error.message, remedy=remedy)


def placed(error: ProviderError, target: Target, key: Secret | None) -> ProviderError:
    """Note where it happened, and take our key out of the vendor's words."""
    return error.with_message(mask(error.message, key)).at(target.provider, target.model)
