"""Say what went wrong below HTTP in our words."""

from __future__ import annotations

from collections.abc import Sequence
from traceback import walk_stack
from types import TracebackType

from ..errors import Kind, WireError

__all__ = ["AsWireErrors"]

WORDS = {
    Kind.CONNECT: "could not connect",
    Kind.TIMEOUT: "timed out",
    Kind.STREAM_INTERRUPTED: "the connection broke",
    Kind.PROTOCOL_ERROR: "not valid HTTP",
}


class AsWireErrors:
    """Translate a client library's exceptions by the first row that fits.

    The class is kept and never the text: a URL or a header may be in it. What no row names is
    a `protocol_error`: no vendor's bytes may surface as a crash. `broken` are the beginnings of
    messages that mean a broken connection, where a library has one class for that and for nonsense.
    A context manager of its own, because one made from a generator costs more than the translating.
    """

    __slots__ = ("_broken", "_table")

    def __init__(self, *table: tuple[Kind, Sequence[type[Exception]]], broken: tuple[str, ...] = ()) -> None:
        self._table = [(kind, tuple(classes)) for kind, classes in table]
        self._table.append((Kind.PROTOCOL_ERROR, (Exception,)))
        self._broken = broken

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        for found, classes in self._table if error is not None else ():
            if isinstance(error, classes):
                if found is Kind.PROTOCOL_ERROR and str(error).startswith(self._broken):
                    found = Kind.STREAM_INTERRUPTED
                _forget_frames(error, error.__traceback__)
                raise WireError(found, f"{WORDS[found]} ({type(error).__name__})") from None


def _forget_frames(error: BaseException | None, traceback: TracebackType | None) -> None:
    """Let go of the frames a library's error came through: its connection holds it, and they hold the connection.

    What a program handles meanwhile, which is the context of all that fails then, keeps its frames.
    """
    above = {frame for frame, _ in walk_stack(traceback.tb_frame.f_back)} if traceback else set()
    while error is not None and traceback is not None and traceback.tb_frame not in above:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
        traceback = error.__traceback__ if error is not None else None
