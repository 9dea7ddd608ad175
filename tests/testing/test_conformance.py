"""The conformance class finds what it is there to find."""

import json
from pathlib import Path

import pytest

from aigateway.providers import Dialect, OpenAICompatible, Options
from aigateway.testing import Fixture, ProviderConformance, load_fixtures, mismatches, play
from aigateway.types import ModelInfo, WireResponse

REFUSAL = {"retry_same_key": False, "try_other_key": "yes", "try_other_provider": "yes", "key_state": "disabled"}
STREAM = (
    b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": null}]}\n\n'
    b'data: {"choices": [{"index": 0, "delta": {"content": "!"}, "finish_reason": "stop"}]}\n\n'
    b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\ndata: [DONE]\n\n'
)


class Plain(OpenAICompatible):
    """Speak plain OpenAI chat."""

    dialect = Dialect(base_url="https://api.example.com/v1")

    def models(self):
        return (ModelInfo("a-model", self.name), ModelInfo("old", self.name, successor="a-model"))


class TestPlainConformance(ProviderConformance):
    provider = Plain
    fixtures = Path(__file__).parent / "fixtures"


def provider():
    return Plain(Options("plain"))


def fixture(expect, *, status=200, body=STREAM, stream=True, headers=()):
    return Fixture("a", "/v1/chat/completions", stream, WireResponse(status, dict(headers), body), expect)


def differences(expect, **response):
    case = fixture(expect, **response)
    return [line.partition(":")[0] for line in mismatches(play(provider(), case), case)]


def test_a_true_statement_matches():
    """What is there is found; what is not stated is not asked."""
    usage = {"input": 3, "output": 2, "total": 5, "cached": 0}

    assert (
        differences({"kind": "ok", "text": "Hi!", "finish_reason": "stop", "usage": usage, "ended_with_done": True})
        == []
    )
    assert differences({"kind": "ok"}) == []


@pytest.mark.parametrize(
    ("stated", "named"),
    [
        ({"kind": "auth"}, "kind"),
        ({"kind": "ok", "text": "Ho!"}, "text"),
        ({"kind": "ok", "reasoning": "hm"}, "reasoning"),
        ({"kind": "ok", "refusal": "no"}, "refusal"),
        ({"kind": "ok", "finish_reason": "length"}, "finish_reason"),
        ({"kind": "ok", "tool_calls": [{"id": "1", "name": "look", "arguments": {}}]}, "tool_calls"),
        ({"kind": "ok", "usage": {"cached": 1}}, "usage.cached"),
        ({"kind": "ok", "usage": None}, "usage"),
        ({"kind": "ok", "ended_with_done": False}, "ended_with_done"),
    ],
)
def test_a_false_statement_is_named(stated, named):
    """Each wrong figure or word is one line."""
    assert [named] == differences(stated)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, []),
        ({"retry_same_key": True}, ["retry_same_key"]),
        ({"try_other_key": "other_account"}, ["try_other_key"]),
        ({"try_other_provider": "conditional"}, ["try_other_provider"]),
        ({"key_state": "ok"}, ["key_state"]),
        ({"retry_after_s": 5.001}, []),
        ({"retry_after_s": 6}, ["retry_after_s"]),
        ({"retry_after_s": None}, ["retry_after_s"]),
    ],
)
def test_actions_are_compared(change, named):
    """What may happen next is stated word by word."""
    stated = {"kind": "auth", **REFUSAL, "retry_after_s": 5, **change}

    assert named == differences(stated, status=401, body=b"", headers={"retry-after": "5"})


def test_a_reset_is_measured_from_when_the_failure_came():
    """`reset_at` stands for a wait, however long ago it was recorded."""
    stated = {"kind": "auth", **REFUSAL, "retry_after_s": None, "reset_at": "2026-11-20T15:00:00Z"}
    body = b'{"error": {"message": "resets at 2026-11-20T15:00:00Z"}}'

    assert differences(stated, status=401, body=body) == []
    assert differences(stated, status=401, body=b"") == ["retry_after_s"]


def test_a_failure_after_text_is_an_interruption():
    """An error event counts as what it is before text, as an interruption after it."""
    error = b'data: {"error": {"message": "busy", "status_code": 503}}\n\n'
    actions = {"retry_same_key": False, "try_other_key": "no", "try_other_provider": "conditional", "key_state": "ok"}
    before = {"retry_same_key": True, "try_other_key": "no", "try_other_provider": "yes", "key_state": "ok"}

    assert (
        differences(
            {"kind": "stream_interrupted", **actions, "retry_after_s": None, "text": "Hi"},
            body=STREAM.split(b"\n\n")[0] + b"\n\n" + error,
        )
        == []
    )
    assert differences({"kind": "overloaded", **before, "retry_after_s": None, "text": ""}, body=error) == []


def test_fixtures_are_loaded_in_both_forms(tmp_path: Path):
    """A whole answer is one file, a stream two; raw bodies keep their bytes, header names are lowered."""
    request = {"method": "POST", "path": "/v1/chat/completions"}
    whole = {
        "id": "x/whole",
        "request": request,
        "response": {"status": 200, "headers": {"X-A": "1"}, "body": {"a": 1}},
    }
    raw = {"id": "x/raw", "request": request, "response": {"status": 502, "headers": {}, "body_text": "\n\n<html>"}}
    stream = {
        "id": "x/stream",
        "request": request,
        "response": {"status": 200, "headers": {}, "sse_file": "stream.sse"},
    }
    for name, case in {"whole.json": whole, "raw.json": raw, "stream.meta.json": stream}.items():
        (tmp_path / name).write_text(json.dumps({**case, "expect": {"kind": "ok"}}))
    (tmp_path / "stream.sse").write_bytes(STREAM)
    loaded = {case.name: case for case in load_fixtures(tmp_path)}

    assert (loaded["whole"].response.headers, json.loads(loaded["whole"].response.body)) == ({"x-a": "1"}, {"a": 1})
    assert loaded["raw"].response.body == b"\n\n<html>"
    assert (loaded["stream"].stream, loaded["stream"].response.body) == (True, STREAM)


@pytest.mark.parametrize(
    ("stated", "missing"),
    [
        ({}, ["`request.path`", "`response.status`", "`expect.kind`", "`response.body`"]),
        ([], ["`request.path`", "`response.status`", "`expect.kind`"]),
        ({"request": {"path": "/p"}, "expect": {"kind": "ok"}}, ["`response.status`", "`response.sse_file`"]),
        ({"request": {"path": "/p"}, "response": {"status": 200, "body": {}}}, ["`expect.kind`"]),
        (
            {"request": {"path": "/p"}, "response": {"status": 401, "body": {}}, "expect": {"kind": "auth", **REFUSAL}},
            ["`expect.retry_after_s`"],
        ),
    ],
)
def test_an_incomplete_fixture_is_named(stated, missing, tmp_path: Path):
    """The error names the file, and everything it must state."""
    (tmp_path / "half.json").write_text(json.dumps(stated))
    with pytest.raises(ValueError, match=r"half\.json: a fixture must state") as raised:
        load_fixtures(tmp_path)

    assert all(name in str(raised.value) for name in missing)


def test_a_fixture_that_is_not_json_is_named(tmp_path: Path):
    """A file that cannot be read is not a riddle."""
    (tmp_path / "torn.json").write_text('{"id": ')

    with pytest.raises(ValueError, match=r"torn\.json: this is not JSON"):
        load_fixtures(tmp_path)


def test_a_stream_and_its_description_belong_together(tmp_path: Path):
    """Neither half of a recorded stream is passed over in silence."""
    (tmp_path / "stream.sse").write_bytes(STREAM)
    with pytest.raises(ValueError, match=r"stream\.sse: there is no 'stream\.meta\.json' beside it"):
        load_fixtures(tmp_path)

    response = {"status": 200, "sse_file": "strem.sse"}
    stated = {"request": {"path": "/v1/chat/completions"}, "response": response, "expect": {"kind": "ok"}}
    (tmp_path / "stream.meta.json").write_text(json.dumps(stated))
    with pytest.raises(ValueError, match=r"stream.meta.json: it names the stream 'strem.sse', which is not beside it"):
        load_fixtures(tmp_path)
