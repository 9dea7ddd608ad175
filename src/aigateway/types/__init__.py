"""What travels: requests, replies, chunks, usage, model facts, callers, calls, decisions."""

from ._call import Call, Clock, Outcome
from ._caller import ANYONE, IN_PROCESS, Caller, Limits
from ._card import ModelCard
from ._decision import Considered, Decision, Drop, Ended, Role, Step, Trace
from ._limits import Hedge, Recovery, Retries, Shadow, Terms, Timeouts
from ._models import ABILITIES, ModelInfo, Price
from ._native import NOTHING, NativeChunk, NativeReply, Said
from ._reply import Chunk, Reply
from ._target import Candidate, Facts, Target
from ._usage import Cost, Usage
from ._wire import Event, HTTPRequest, WireFailure, WireResponse
from .request import ANYWHERE, ChatRequest, MaxPrice, Routing, in_words, messages_from, read_json, written

__all__ = [
    "ABILITIES", "ANYONE", "ANYWHERE", "IN_PROCESS", "NOTHING", "Call", "Caller", "Candidate", "ChatRequest", "Chunk",
    "Clock", "Considered", "Cost", "Decision", "Drop", "Ended", "Event", "Facts", "HTTPRequest", "Hedge", "Limits",
    "MaxPrice", "ModelCard", "ModelInfo", "NativeChunk", "NativeReply", "Outcome", "Price", "Recovery", "Reply",
    "Retries", "Role", "Routing", "Said", "Shadow", "Step", "Target", "Terms", "Timeouts", "Trace", "Usage",
    "WireFailure", "WireResponse", "in_words", "messages_from", "read_json", "written",
]  # fmt: skip  # a list of names
