"""Thoughts between think tags, taken out of content in any pieces."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aigateway_minimax._thinking import ThinkSplitter, split_thinking

PIECE = st.one_of(
    st.sampled_from(["<think>", "</think>", "<", "think>", "</", "\n", "\n\n", " ", "a", "b c"]), st.text(max_size=5)
)


@pytest.mark.parametrize(
    ("text", "reasoning", "content"),
    [
        ("", "", ""),
        ("Hi", "", "Hi"),
        ("<think>\nShort.\n</think>\n\nOpen till 6.", "Short.", "Open till 6."),
        ("<think>Short.</think>Open", "Short.", "Open"),
        ("\n <think>Short.</think>Open", "Short.", "Open"),
        ("<think></think>Open", "", "Open"),
        ("<think>\nNever closed", "Never closed", ""),
        ("<think>a < b</think>c", "a < b", "c"),
        ("Use <think> tags", "", "Use <think> tags"),
        ("<thin", "", "<thin"),
        ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
        ("  Hi", "", "  Hi"),
    ],
)
def test_splits(text, reasoning, content):
    """A tag counts at the very start only; blank lines beside tags go."""
    assert (reasoning, content) == split_thinking(text)


@given(st.lists(PIECE, max_size=12))
@example(["<think>", "\nShort.", "\n", "</think>", "\n", "\nOpen"])
def test_any_chunking_gives_the_same(pieces):
    """However the text is cut, the same comes out, and nothing is made up."""
    splitter = ThinkSplitter()
    parts = [splitter.feed(piece) for piece in pieces] + [splitter.end()]
    reasoning, content = "".join(part[0] for part in parts), "".join(part[1] for part in parts)

    assert split_thinking("".join(pieces)) == (reasoning, content)
    assert len(reasoning) + len(content) <= len("".join(pieces))


@given(st.text())
def test_character_by_character(text):
    """The smallest pieces give the same as the whole."""
    splitter = ThinkSplitter()
    parts = [splitter.feed(character) for character in f"<think>{text}"] + [splitter.end()]

    assert split_thinking(f"<think>{text}") == ("".join(p[0] for p in parts), "".join(p[1] for p in parts))
