"""Bytes to events: the same for every chunking, bounded, linear."""

import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aigateway.errors import WireError
from aigateway.transport import SSEDecoder
from aigateway.types import Event

LINE = st.one_of(
    st.sampled_from(
        [b"data: a", b"data:b", b"data:  c", b"data", b"event: e", b"event:", b": hm", b"id: 7", b"", b"datax: d"]
    ),
    st.sampled_from([b"data: \x00", b"\x00data: a", b"data: \xef\xbb\xbf", b"\xef\xbb\xbfdata: a"]),
    st.binary(max_size=8),
)
ENDING = st.sampled_from([b"\n", b"\r\n", b"\r"])
BODY = st.lists(st.tuples(LINE, ENDING).map(b"".join), max_size=16).map(b"".join)
STREAM = st.tuples(st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb"]), BODY).map(b"".join)
PLACES = st.lists(st.integers(0, 10_000), max_size=12)


def events(*pieces, limit=1024 * 1024):
    decoder = SSEDecoder(limit)
    return [event for piece in pieces for event in decoder.feed(piece)]


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def by_the_standard(data):
    """Read a whole stream slowly and plainly, as section 9.2.6 of the HTML standard says."""
    found, values, name = [], [], ""
    lines = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for line in lines[:-1]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if values:
                found.append(Event(b"\n".join(values), name or "message"))
            values, name = [], ""
        elif field == b"data":
            values.append(value)
        elif field == b"event":
            name = value.strip().decode("utf-8", "replace")
    return found


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"data: a\n\n", [Event(b"a")]),
        (b"data: a\r\n\r\n", [Event(b"a")]),
        (b"data: a\r\rdata: b\n\n", [Event(b"a"), Event(b"b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),
        (b": keep-alive\n\n\n: keep-alive\n\ndata: a\n\n", [Event(b"a")]),
        (b"data: a\ndata: b\n\n", [Event(b"a\nb")]),
        (b"event: error\ndata: a\n\ndata: b\n\n", [Event(b"a", "error"), Event(b"b")]),
        (b"data:a\n\ndata:  b\n\n", [Event(b"a"), Event(b" b")]),
        (b"data\n\n", [Event(b"")]),
        (b"event: lonely\n\n", []),
        (b"data: never ended\n", []),
        (b"id: 7\nretry: 1\nodd\ndata: a\n\n", [Event(b"a")]),
    ],
)
def test_forms(data, expected):
    """Line ends, BOM, comments, names and unknown fields are read as the standard says."""
    assert expected == events(data)
    assert expected == events(*(data[at : at + 1] for at in range(len(data))))


@given(STREAM, PLACES)
@example(b"data: a\r\n\r\n", [8])
@example(b"\xef\xbb\xbfdata: a\n\n", [1, 2])
def test_any_chunking_gives_the_same_events(data, places):
    """However the bytes are cut, the same events come out."""
    assert events(data) == events(*cut(data, places))


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=12))
def test_any_bytes_in_any_chunking(data, places):
    """Bytes that are no stream at all are no exception."""
    assert events(data) == events(*cut(data, places))


@given(STREAM)
def test_agrees_with_the_standard(data):
    """A plain reading of the whole gives the same; one more byte settles a CR at the very end."""
    assert by_the_standard(data + b"\n:") == events(data + b"\n:")


@pytest.mark.parametrize("size", [1, 1000, 10_000_000])
def test_one_event_is_bounded(size):
    """An event over 1 MiB is refused before it is whole, in pieces of any size."""
    decoder = SSEDecoder()
    piece = b"a" * min(size, 2 * 1024 * 1024)
    decoder.feed(b"data: " + b"a" * (1024 * 1024 - 10))
    with pytest.raises(WireError, match="larger than 1048576"):
        [decoder.feed(piece) for _ in range(20)]


def test_many_lines_of_one_event_are_bounded():
    """Lines that never end an event count together."""
    with pytest.raises(WireError):
        events(*[b"data: " + b"a" * 1000 + b"\n"] * 1100)


def test_a_stream_is_not_bounded():
    """Many events of a fair size are as many as they are."""
    assert len(events(*[b"data: " + b"a" * 100_000 + b"\n\n"] * 40)) == 40


def test_bound_does_not_depend_on_the_chunking():
    """An event and the beginning of the next, each within the bound, are fine in one read too."""
    data = b"data: " + b"a" * 60 + b"\n\ndata: " + b"b" * 60

    assert events(data[:70], data[70:], limit=100) == events(data, limit=100)


def until_refused(pieces, limit):
    """Give the events, and whether the decoder refused in the end."""
    decoder, found = SSEDecoder(limit), []
    for piece in pieces:
        try:
            found += decoder.feed(piece)
        except WireError:
            return found, True
    return found, False


@given(STREAM, PLACES, st.integers(1, 24))
@example(b"data: " + b"a" * 10 + b"\n\n", [14], 12)
@example(b": " + b"c" * 30 + b"\n\ndata: a\n\n", [20], 24)
@example(b"data: aaaaaa\r\n\r\n", [13], 12)
def test_what_is_too_large_does_not_depend_on_the_chunking(data, places, limit):
    """One byte at a time, whole, or cut anywhere: the same bytes are refused, the same are not."""
    slowly, refused = until_refused([data[at : at + 1] for at in range(len(data))], limit)
    found, also_refused = until_refused(cut(data, places), limit)

    assert refused == also_refused
    assert found == slowly[: len(found)]
    assert refused or found == slowly


@pytest.mark.parametrize("line", [b"data: ", b": ", b"event: ", b"nothing", b"\xef\xbb\xbfdata: ", b"data\ndata: "])
@pytest.mark.parametrize("size", [1, 65_536, 3_000_000])
def test_an_endless_line_is_cut_at_1_mib(line, size):
    """Whatever a line begins with, and however it arrives, it is not collected for ever."""
    decoder, fed = SSEDecoder(), 0
    with pytest.raises(WireError, match="larger than 1048576"):
        decoder.feed(line + b"a" * (1024 * 1024 - 64))
        while fed < 4_000_000:
            decoder.feed(b"a" * size)
            fed += size

    assert fed <= 1024 * 1024


def test_tiny_reads_are_linear():
    """Eight times as many single-byte reads take about eight times as long, not sixty-four."""

    def seconds(size):
        decoder, data = SSEDecoder(), b"data: " + b"a" * size
        begun = time.process_time()
        for at in range(len(data)):
            decoder.feed(data[at : at + 1])
        return time.process_time() - begun

    seconds(50_000)
    small, large = min(seconds(50_000) for _ in range(3)), min(seconds(400_000) for _ in range(3))

    assert large < 8 * 3 * small
