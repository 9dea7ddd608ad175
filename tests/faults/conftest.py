"""Try all selected rows beside each other, each way in on a thread of its own; the tests look at the verdicts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ..asgi.conftest import serve
from ..asgi.test_kept_answers import world
from ..flows.conftest import configure, sandbox_thread, standins
from .run import run_all
from .wall import Case, Verdict, as_promised

__all__ = ["configure", "sandbox_thread", "serve", "standins", "verdicts", "world"]  # fixtures of the folder

# A silence of 30 s is one of 9 s. `nox -s faults` runs at full scale; much shorter ones pass by themselves where
# the machine is busy.
SCALE = 0.3
# What was not as it should be is tried again by itself with longer ones: a claim that holds for those only holds.
AGAIN = 0.9


@pytest.fixture(scope="session")
def verdicts(request: pytest.FixtureRequest) -> Mapping[Case, Verdict]:
    """Give the verdicts of every case that was selected."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    cases = [call.params["case"] for call in calls if call is not None and isinstance(call.params.get("case"), Case)]
    found = run_all(cases, SCALE)
    missed = [case for case in cases if not as_promised(case, found[case])]
    return found | (run_all(missed, AGAIN) if missed else {})
