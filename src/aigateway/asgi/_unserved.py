"""What clients know from other servers and this one has not: said clearly, in the dialect it belongs to."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..errors import RequestError
from ..surfaces import anthropic_error
from ._incoming import Incoming, Message, Receive, Scope, Send

__all__ = ["as_http", "is_websocket", "nothing_there", "over_http"]

# Marks the scope of a request that came as a websocket's opening.
WEBSOCKET = "aigateway.websocket"
VENDOR = "Ask the vendor itself."
AGENT = "Run the agent yourself, and let it ask here."
STATELESS = "Nothing is stored here: send the whole conversation as 'input' each time."
# Endpoints of OpenAI's and Anthropic's that are not served, by how their paths begin (with a slash at the end: what is
# below a path that is served): what they are, and what to do instead (openai-python, anthropic-sdk-python: resources).
# The first name that fits counts.
UNSERVED: Mapping[str, tuple[str, str]] = {
    "agents": ("hosted agents", AGENT),
    "assistants": ("assistants", "Use /v1/responses with the whole conversation as 'input'."),
    "audio": ("speech and transcription", VENDOR),
    "batches": ("batches", "Send the requests one by one."),
    "chat/completions/": ("stored completions", "Nothing is stored here."),
    "chatkit": ("ChatKit", "Use /v1/responses."),
    "complete": ("Anthropic's text completions", "Use /v1/messages."),
    "containers": ("containers", VENDOR),
    "content_provenance_checks": ("checks of where content comes from", VENDOR),
    "conversations": ("stored conversations", "Send the whole conversation as 'input' of /v1/responses."),
    "decisions": ("decisions", VENDOR),
    "deployment_runs": ("deployments of agents", AGENT),
    "deployments": ("deployments of agents", AGENT),
    "dreams": ("dreams of agents", AGENT),
    "environments": ("environments of agents", AGENT),
    "evals": ("evaluations", VENDOR),
    "files": ("files", "Send the data itself within the request."),
    "fine_tuning": ("fine-tuning", VENDOR),
    "images/edits": ("edits of images", "Pictures are made at /v1/images/generations."),
    "images/variations": ("variations of images", "Pictures are made at /v1/images/generations."),
    "live": ("live sessions", "Use /v1/chat/completions or /v1/responses with 'stream': true."),
    "memory_stores": ("memories of agents", AGENT),
    "messages/batches": ("batches of messages", "Send the messages one by one."),
    "moderations": ("moderation", VENDOR),
    "organization": ("administration of an organization", VENDOR),
    "organizations": ("administration of an organization", VENDOR),
    "projects": ("administration of projects", VENDOR),
    "realtime": ("the realtime API", "Use /v1/chat/completions or /v1/responses with 'stream': true."),
    "responses/compact": ("compaction", "Shorten the conversation yourself, and send it as 'input'."),
    "responses/input_tokens": ("counting for /v1/responses", "/v1/messages/count_tokens estimates for any model."),
    "responses/": ("stored responses", STATELESS),
    "safety": ("safety cases", VENDOR),
    "sessions": ("sessions of agents", AGENT),
    "skills": ("skills", VENDOR),
    "threads": ("threads", "Use /v1/responses with the whole conversation as 'input'."),
    "tunnels": ("tunnels", VENDOR),
    "uploads": ("uploads", "Send the data itself within the request."),
    "user_profiles": ("user profiles", VENDOR),
    "vaults": ("vaults of agents", AGENT),
    "vector_stores": ("vector stores", "Send what was found within the request."),
    "videos": ("videos", VENDOR),
    "webhook_endpoints": ("webhooks", VENDOR),
    "webhook_event_types": ("webhooks", VENDOR),
}
# What clients are pointed at most often, and at what address.
IN_CHAT = "Chat is POST /v1/chat/completions; the base URL ends in /v1."
IN_MESSAGES = "Messages are POST /v1/messages; the base URL of Anthropic's clients is the address without /v1."
IN_GROQS = "Chat is POST /openai/v1/chat/completions; the base URL of Groq's clients is the address without /v1."
# What a path ends in behind a base URL that names an endpoint already: nothing that is not served ends so.
ENDPOINTS = ("/chat/completions", "/responses")
ANTHROPICS = ("messages", "complete", "organizations")


def nothing_there(request: Incoming, path: str) -> RequestError:
    """Say that nothing is at a path, and what is known of it; the request's errors are in its dialect from now on."""
    bare = path.removeprefix("/openai").removeprefix("/v1").removeprefix("/")
    if bare.partition("/")[0] in ANTHROPICS or "anthropic-version" in request.headers:
        request.envelope = anthropic_error
    name = "" if bare.endswith(ENDPOINTS) else next((name for name in UNSERVED if _begins(bare, name)), "")
    if name:
        what, instead = UNSERVED[name]
        message = f"this gateway does not serve {request.path[:128]!r} ({what}) yet. {instead}"
        return RequestError(message, status=404, code="not_served")
    way = IN_MESSAGES if request.envelope is anthropic_error else IN_GROQS if "/v1/openai/v1" in path else IN_CHAT
    return RequestError(
        f"there is nothing at {request.scope['method'][:16]} {request.path[:128]!r}. {way}",
        status=404,
        code="unknown_url",
    )


def _begins(path: str, name: str) -> bool:
    return path != name and path.startswith(name) if name.endswith("/") else f"{path}/".startswith(f"{name}/")


def is_websocket(request: Incoming) -> bool:
    """Tell whether a request opens a websocket, whether or not the server knows what that is."""
    opens = request.scope["method"] == "GET" and request.headers.get("upgrade", "").strip().lower() == "websocket"
    return opens or WEBSOCKET in request.scope


def over_http(request: Incoming, methods: Collection[str]) -> RequestError:
    """Say that a path is not spoken to over a websocket, but over HTTP; clients that try it first go on with that."""
    way = " or ".join(sorted(methods))
    message = f"{request.path[:128]!r} is served over HTTP here, not over a websocket. Send a {way} request."
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
