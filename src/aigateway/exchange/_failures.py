"""Turn what a transport raises into what the loops read."""

from __future__ import annotations

import logging
import re

from ..errors import REMEDIES, Kind, ProviderError, Remedy, Scope, StreamInterrupted, Vendor, WireError
from ..secrets import Secret, mask
from ..types import Target

__all__ = ["BROKE", "SAMPLE", "from_bug", "from_wire", "placed", "said"]

LOG = logging.getLogger("aigateway.exchange")
# Bytes kept of what could not be read, before they are masked and cut for the log.
SAMPLE = 1024
# A vendor's error code that is one; anything else may be a sentence.
CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)

# The connection broke after the request was sent and before content: it may have been billed.
BROKE = Remedy(True, "no", "yes", "ok", Scope.MODEL, "maybe")


def from_wire(error: WireError) -> ProviderError:
    """Classify a transport's failure."""
    remedy = BROKE if error.kind is Kind.STREAM_INTERRUPTED else REMEDIES[error.kind]
    return ProviderError(error.kind, error.message, remedy=remedy)


def placed(error: ProviderError, target: Target, key: Secret | None) -> ProviderError:
    """Note where it happened, and take our key out of the vendor's words."""
    if error.sample:
        LOG.warning("%s sent what cannot be read: %s", target, mask(error.sample.decode("utf-8", "replace"), key))
        error.sample = b""
    error.vendor = Vendor(error.vendor.status, *(word and mask(word, key, limit=128) for word in _words(error.vendor)))
    error.param = error.vendor.param
    error.args = (mask(error.message, key),)
    return error.at(target.provider, target.model)


def from_bug(error: Exception) -> ProviderError:
    """Classify what a provider's code raised though it should not have; the bug stays its cause."""
    failure = ProviderError(Kind.SERVER_ERROR, f"the provider failed in this process ({type(error).__name__})")
    failure.__cause__ = error
    return failure


def said(error: ProviderError) -> str:
    """Say why in words of ours: what a vendor says may repeat the prompt, and a record is kept and shown."""
    code = error.vendor.code or ""
    if error.vendor.status is None and not isinstance(error, StreamInterrupted):
        return error.message
    words = [f"status {error.vendor.status}"] if error.vendor.status is not None else []
    words += [code] if CODE.fullmatch(code) else []
    broke = f"it broke off before its end ({error.cause_kind})" if isinstance(error, StreamInterrupted) else ""
    return ", ".join([*([broke] if broke else []), *words])


def _words(vendor: Vendor) -> tuple[str | None, str | None, str | None]:
    return vendor.code, vendor.param, vendor.request_id
