"""What clients know from other servers and this one has not: said clearly, in the dialect it belongs to."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import RequestError
from ..surfaces import anthropic_error
from ._incoming import Incoming, Message, Receive, Scope, Send

__all__ = ["WEBSOCKET", "as_http", "nothing_there", "over_http"]

# Marks the scope of a request that came as a websocket's opening.
WEBSOCKET = "aigateway.websocket"
# Endpoints of OpenAI's and Anthropic's that are not served, by how their paths begin (with a slash at the end: what is
# below a path that is served): what they are, and what to do instead (openai-python 3.3.1, anthropic-sdk-python 2.11:
# resources).
UNSERVED: Mapping[str, tuple[str, str]] = {
    "assistants": ("assistants", "Use /v1/responses with the whole conversation as 'input'."),
    "audio": ("speech and transcription", "Ask the vendor itself."),
    "batches": ("batches", "Send the requests one by one."),
    "chat/completions/": ("stored completions", "Nothing is stored here."),
    "chatkit": ("ChatKit", "Use /v1/responses."),
    "complete": ("Anthropic's text completions", "Use /v1/messages."),
    "containers": ("containers", "Ask the vendor itself."),
    "conversations": ("stored conversations", "Send the whole conversation as 'input' of /v1/responses."),
    "evals": ("evaluations", "Ask the vendor itself."),
    "files": ("files", "Send the data itself within the request."),
    "fine_tuning": ("fine-tuning", "Ask the vendor itself."),
    "images/edits": ("edits of images", "Pictures are made at /v1/images/generations."),
    "images/variations": ("variations of images", "Pictures are made at /v1/images/generations."),
    "messages/batches": ("batches of messages", "Send the messages one by one."),
    "moderations": ("moderation", "Ask the vendor itself."),
    "organization": ("administration of an organization", "Ask the vendor itself."),
    "organizations": ("administration of an organization", "Ask the vendor itself."),
    "realtime": ("the realtime API", "Use /v1/chat/completions or /v1/responses with 'stream': true."),
    "responses/": ("stored responses", "Nothing is stored here: send the whole conversation as 'input' each time."),
    "skills": ("skills", "Ask the vendor itself."),
    "threads": ("threads", "Use /v1/responses with the whole conversation as 'input'."),
    "uploads": ("uploads", "Send the data itself within the request."),
    "vector_stores": ("vector stores", "Send what was found within the request."),
    "videos": ("videos", "Ask the vendor itself."),
}
ANTHROPICS = ("messages", "complete", "organizations")


def nothing_there(request: Incoming, path: str) -> RequestError:
    """Say that nothing is at a path, and what is known of it; the request's errors are in its dialect from now on."""
    bare = path.removeprefix("/openai").removeprefix("/v1").removeprefix("/")
    first, _, rest = bare.partition("/")
    second, _, below = rest.partition("/")
    if first in ANTHROPICS or "anthropic-version" in request.headers:
        request.envelope = anthropic_error
    beginnings = (first, f"{first}/{second}", f"{first}/" if second else "", f"{first}/{second}/" if below else "")
    name = next((name for name in beginnings if name in UNSERVED), "")
    if name:
        what, instead = UNSERVED[name]
        message = f"this gateway does not serve {request.path[:128]!r} ({what}) yet. {instead}"
        return RequestError(message, status=404, code="not_served")
    ends = "has no path, for Groq's client" if "/v1/openai/v1" in path else "ends in /v1"
    return RequestError(
        f"there is nothing at {request.scope['method'][:16]} {request.path[:128]!r}. "
        f"Chat is POST /v1/chat/completions; the base URL {ends}.",
        status=404,
        code="unknown_url",
    )


def over_http(request: Incoming) -> RequestError:
    """Say that a path is not spoken to over a websocket, but over HTTP; clients that try it first go on with that."""
    message = f"{request.path[:128]!r} is served over HTTP here, not over a websocket. Send the same as a POST."
    return RequestError(message, status=426, code="websocket")


def as_http(scope: Scope, receive: Receive, send: Send) -> tuple[Scope, Receive, Send]:
    """Read a websocket's opening as the HTTP request it is, so that it is answered, logged and counted as one.

    For servers that let an application answer it (ASGI's extension `websocket.http.response`).
    """

    async def received() -> Message:
        while True:
            if (await receive())["type"] == "websocket.disconnect":
                return {"type": "http.disconnect"}

    async def sent(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return {**scope, "type": "http", "method": "GET", WEBSOCKET: True}, received, sent
