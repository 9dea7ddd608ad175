"""Who can answer: codecs without I/O, one class for vendors that speak OpenAI's dialect."""

from ._classify import ErrorBody, Rule, by_status, classify, read_error
from ._codec import Codec, NativeDecoder, Peer, native_body, offered, speaks
from ._decoder import ChatDecoder
from ._dialect import Dialect
from ._messages import MessagesCodec
from ._models_file import load_models, parse_models
from ._openai import OpenAICompatible
from ._provider import LocalProvider, Options, Provider, StreamDecoder
from ._responses import ResponsesCodec
from ._shape import nonsense
from ._tell import tell
from ._usage import read_usage
from ._waits import duration, wait_time

__all__ = [
    "ChatDecoder", "Codec", "Dialect", "ErrorBody", "LocalProvider", "MessagesCodec", "NativeDecoder",
    "OpenAICompatible", "Options", "Peer", "Provider", "ResponsesCodec", "Rule", "StreamDecoder", "by_status",
    "classify", "duration", "load_models", "native_body", "nonsense", "offered", "parse_models", "read_error",
    "read_usage", "speaks", "tell", "wait_time",
]  # fmt: skip  # a list of names
