"""Who judges what Schemathesis asks knows a wrong answer; it is asked in tests/faults/test_rows_e.py, row 58."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.fuzz import wrong


class Reply:
    """What was answered."""

    def __init__(self, status: int, body: str, kind: str = "application/json", request_id: str = "r") -> None:
        self.status_code = status
        self.content = body.encode()
        self.headers = {"content-type": [kind], "x-request-id": [request_id]}


ERROR = '{"error": {"message": "m", "type": "t", "param": null, "code": null, "request_id": "r"}}'
OTHERS = '{"type": "error", "error": {"message": "m", "type": "t"}, "request_id": "r"}'
EVENTS = "text/event-stream"


@pytest.mark.parametrize(
    ("path", "reply", "noticed"),
    [
        ("/v1/models", Reply(200, "{}"), False),
        ("/v1/models", Reply(400, ERROR), False),
        ("/v1/models", Reply(500, ERROR), True),
        ("/v1/models", Reply(503, ERROR), True),
        ("/v1/models", Reply(200, "{}", "text/plain"), True),
        ("/v1/models", Reply(404, "<p>", "text/html"), True),
        ("/v1/models", Reply(400, ERROR, request_id="other"), True),
        ("/v1/models", Reply(400, ERROR.replace("m", "Traceback (most recent call last)")), True),
        ("/v1/models", Reply(400, '{"detail": "Not Found"}'), True),
        ("/v1/models", Reply(400, OTHERS), True),
        ("/v1/messages", Reply(400, OTHERS), False),
        ("/v1/messages", Reply(400, ERROR), True),
        ("/v1/chat/completions", Reply(200, "data: [DONE]\n\n", EVENTS), False),
        ("/v1/chat/completions", Reply(200, 'data: {"error": {}}\n\n', EVENTS), True),
    ],
)
def test_what_is_wrong_is_noticed(path: str, reply: Any, noticed: bool) -> None:
    """The judge knows a failure, another type or envelope, another id, a word from inside, a stream without an end."""
    assert noticed is bool(wrong(path, "POST", reply, []))


def test_what_the_log_says_is_noticed() -> None:
    """A failure that was logged counts, whatever was answered."""
    assert wrong("/v1/models", "GET", Reply(200, "{}"), ["request r failed inside the gateway"])
