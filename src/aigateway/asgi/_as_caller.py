"""What a client key of some name would get: an operator asks for somebody else."""

from __future__ import annotations

from difflib import get_close_matches

from ..errors import Forbidden, RequestError
from ..gateway import Gateway
from ..types import Caller, ChatRequest, Decision
from ._who import Who

__all__ = ["explain_as"]

# Names a refusal lists.
LISTED = 20


def explain_as(gateway: Gateway, who: Who, asked: ChatRequest, name: str) -> Decision:
    """Tell where a request would go now if the caller of that name sent it.

    Raises RequestError where there is no such caller, or it may not ask for this.
    """
    caller = _named(who, name, gateway.clock.wall())
    try:
        return gateway.explain(asked.model, asked, caller=caller)
    except Forbidden as error:  # that is the caller's 403; whoever asks here may well ask
        raise RequestError(f"{name!r} would be refused (403): {error.message}", code="not_allowed") from None


def _named(who: Who, name: str, at: float) -> Caller:
    """Find what the newest valid key of a name allows; from where it may come plays no part."""
    grants = [grant for grant in who.grants() if grant.starts <= at < grant.ends]
    found = next((grant.caller for grant in grants if grant.caller.name == name), None)
    if found is not None:
        return found
    names = list(dict.fromkeys(grant.caller.name for grant in grants))
    near = get_close_matches(name[:64], names, 1, 0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"There is: {', '.join(names[:LISTED]) or 'none'}."
    tokens = " Of tokens (callers.jwt) nothing is known before they come." if who.tokens is not None else ""
    raise RequestError(f"there is no valid client key of {name[:64]!r}. {hint}{tokens}", status=404, param="caller")
