"""Who can answer: codecs without I/O, one class for vendors that speak OpenAI's dialect."""

from ..operations import Peer, nonsense, read_usage
from ._classify import ErrorBody, Rule, by_status, classify, read_error
from ._decoder import ChatDecoder
from ._dialect import Dialect
from ._models_file import load_models, parse_models
from ._openai import OpenAICompatible
from ._provider import LocalProvider, Options, Provider, StreamDecoder
from ._waits import duration, wait_time

__all__ = [
    "ChatDecoder", "Dialect", "ErrorBody", "LocalProvider", "OpenAICompatible", "Options", "Peer", "Provider", "Rule",
    "StreamDecoder", "by_status", "classify", "duration", "load_models", "nonsense", "parse_models", "read_error",
    "read_usage", "wait_time",
]  # fmt: skip  # a list of names
