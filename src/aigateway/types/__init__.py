"""What travels: requests, replies, chunks, usage, model facts, callers, calls, decisions."""

from ._call import Call, Clock, Outcome
from ._caller import ANYONE, IN_PROCESS, Caller
from ._decision import Considered, Decision, Drop, Ended, Role, Step, Trace
from ._json import read_json, written
from ._limits import Hedge, Recovery, Retries, Terms, Timeouts
from ._models import ABILITIES, ModelInfo, Price
from ._native import NOTHING, NativeChunk, NativeReply, Said
from ._reply import Chunk, Reply
from ._request import ChatRequest, messages_from
from ._routing import Routing
from ._target import Candidate, Facts, Target
from ._usage import Cost, Usage
from ._wire import Event, HTTPRequest, WireFailure, WireResponse

__all__ = [
    "ABILITIES", "ANYONE", "IN_PROCESS", "NOTHING", "Call", "Caller", "Candidate", "ChatRequest", "Chunk", "Clock",
    "Considered", "Cost", "Decision", "Drop", "Ended", "Event", "Facts", "HTTPRequest", "Hedge", "ModelInfo",
    "NativeChunk", "NativeReply", "Outcome", "Price", "Recovery", "Reply", "Retries", "Role", "Routing", "Said",
    "Step", "Target", "Terms", "Timeouts", "Trace", "Usage", "WireFailure", "WireResponse", "messages_from",
    "read_json", "written",
]  # fmt: skip  # a list of names
