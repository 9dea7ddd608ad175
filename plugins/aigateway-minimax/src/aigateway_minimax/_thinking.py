"""Take `<think>...</think>` out of content, whole or split over any number of pieces."""

from __future__ import annotations

__all__ = ["ThinkSplitter", "split_thinking"]

OPEN, CLOSE = "<think>", "</think>"
# Blanks before a tag are not collected without end.
MOST_BLANKS = 4096


class ThinkSplitter:
    """Feed content, get (reasoning, content).

    A tag counts only at the very start of the answer; the blank lines beside tags are dropped.
    """

    __slots__ = ("_held", "_opened", "_state")

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"  # -> inside -> after -> content
        self._opened = False  # inside, and past the newline beside the tag

    def feed(self, text: str) -> tuple[str, str]:
        """Take the next piece; what may still become a tag is held back."""
        if self._state == "content":
            return "", text
        self._held += text
        reasoning = ""
        if self._state == "start":
            self._start()
        if self._state == "inside":
            reasoning = self._inside()
        return reasoning, self._after() if self._state in {"after", "content"} else ""

    def end(self) -> tuple[str, str]:
        """Give what was held back; an unclosed thought is reasoning."""
        held, self._held = self._held, ""
        if self._state == "inside":
            return held.rstrip("\n"), ""
        return "", held if self._state == "start" else ""

    def _start(self) -> None:
        seen = self._held.lstrip()
        if seen.startswith(OPEN):
            self._held, self._state = seen[len(OPEN) :], "inside"
        elif not OPEN.startswith(seen) or len(self._held) > MOST_BLANKS:
            self._state = "content"

    def _inside(self) -> str:
        """Give the reasoning so far, without what may be the newline and tag that close it."""
        if not self._opened:
            if not self._held:
                return ""
            self._held, self._opened = self._held.removeprefix("\n"), True
        thought, closed, rest = self._held.partition(CLOSE)
        if closed:
            self._held, self._state = rest, "after"
            return thought.removesuffix("\n")
        keep = len(thought) - _undecided(thought)
        self._held = thought[keep:]
        return thought[:keep]

    def _after(self) -> str:
        content, self._held = self._held, ""
        if self._state == "after":
            content = content.lstrip("\n")
            if content:
                self._state = "content"
        return content


def split_thinking(text: str) -> tuple[str, str]:
    """Split a whole content into (reasoning, content)."""
    splitter = ThinkSplitter()
    reasoning, content = splitter.feed(text)
    more_reasoning, more_content = splitter.end()
    return reasoning + more_reasoning, content + more_content


def _undecided(text: str) -> int:
    """Count the last characters that may begin a newline and closing tag."""
    for size in range(min(len(text), len(CLOSE)), 0, -1):
        tail = text[-size:]
        if CLOSE.startswith(tail) or (tail[0] == "\n" and CLOSE.startswith(tail[1:])):
            return size
    return 0
