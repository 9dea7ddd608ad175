"""What would happen: the real gateway over simulated vendors, thousands of requests on a virtual clock.

    played = play(read_scenario(Path("outage.toml")))
    print(table_of(report_of(played)))

Nothing of the gateway is modelled: routing, failover, keys, the exchange and the plug-ins' decoders
run as they do in service; only the network and the clock are ours. The same seed gives the same report.
"""

from __future__ import annotations

from ._calls import Asked, Event, Question, Upstream
from ._records import Records, questions_of, read_records
from ._replay import Replayed, difference_of, replay
from ._report import report_of
from ._run import Played, play
from ._scenario import Plan, read_scenario
from ._table import replay_table_of, table_of

__all__ = [
    "Asked",
    "Event",
    "Plan",
    "Played",
    "Question",
    "Records",
    "Replayed",
    "Upstream",
    "difference_of",
    "play",
    "questions_of",
    "read_records",
    "read_scenario",
    "replay",
    "replay_table_of",
    "report_of",
    "table_of",
]
