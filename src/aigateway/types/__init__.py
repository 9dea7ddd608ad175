"""What travels: requests, replies, chunks, usage, model facts, callers, calls, decisions."""

from ._call import Call, Clock, Outcome
from ._caller import ANYONE, IN_PROCESS, Caller
from ._decision import Decision, Drop, Step, Trace
from ._limits import Hedge, Recovery, Retries, Terms, Timeouts
from ._models import ABILITIES, ModelInfo, Price
from ._reply import Chunk, Reply
from ._request import ChatRequest, messages_from
from ._routing import Routing
from ._target import Candidate, Facts, Target
from ._usage import Cost, Usage
from ._wire import Event, HTTPRequest, WireFailure, WireResponse

__all__ = [
    "ABILITIES", "ANYONE", "IN_PROCESS", "Call", "Caller", "Candidate", "ChatRequest", "Chunk", "Clock", "Cost",
    "Decision", "Drop", "Event", "Facts", "HTTPRequest", "Hedge", "ModelInfo", "Outcome", "Price", "Recovery",
    "Reply", "Retries", "Routing", "Step", "Target", "Terms", "Timeouts", "Trace", "Usage", "WireFailure",
    "WireResponse", "messages_from",
]  # fmt: skip  # a list of names
