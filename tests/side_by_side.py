"""Share the tests out among the workers of `pytest -n`; those marked `alone` run after all others, one by one.

Markers are known to the workers only, names of tests to the schedule only. So the workers write down which are alone.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

__all__ = ["SideBySide", "write_down"]

ALONE = "alone"


def write_down(items: list[pytest.Item], file: Path) -> None:
    """Tell the schedule which tests are marked."""
    file.write_text(json.dumps([item.nodeid for item in items if item.get_closest_marker(ALONE)]), encoding="utf-8")


class SideBySide(LoadScopeScheduling):
    """Give a worker all cases of one test function; give what is alone to the last, when the others have ended."""

    def __init__(self, config: pytest.Config, log: Producer, file: Path) -> None:
        super().__init__(config, log)
        self._file = file
        self._alone: set[str] = set()
        config.option.loadscopereorder = False  # neighbours share the fixtures of their module

    def schedule(self) -> None:
        """Begin, or go on with another worker."""
        self._alone = set(json.loads(self._file.read_text(encoding="utf-8")))
        super().schedule()

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget a worker that has ended; the last one may be waiting for that."""
        crashed = super().remove_node(node)
        if len(self.nodes) == 1:
            self._reschedule(self.nodes[0])
        return crashed

    def _split_scope(self, nodeid: str) -> str:
        return ALONE if nodeid in self._alone else nodeid.partition("[")[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        if ALONE in self.workqueue:
            self.workqueue.move_to_end(ALONE)
        if not self._must_wait():
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if not self._must_wait():
            super()._reschedule(node)
        elif not all(other.shutting_down for other in self.nodes if other is not node):
            node.shutdown()  # it ends what it has; who is left goes on when all others have ended

    def _must_wait(self) -> bool:
        return list(self.workqueue) == [ALONE] and len(self.nodes) > 1
