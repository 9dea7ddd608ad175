"""The simulator: what a scenario may say, what vendors then do, what the report counts, that it repeats itself."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from aigateway.errors import ConfigurationError
from aigateway.testing import LoopClock
from aigateway.testing.simulator import Played, Question, play, read_scenario, report_of, table_of
from aigateway.testing.simulator._tables import Arrivals, Behaviour, Fault, FaultKind, Questions, Scenario

MODELS = {
    "deepseek": "deepseek/deepseek-flash",
    "minimax": "minimax/MiniMax-M3",
    "openai": "openai/gpt-5.4-mini",
    "groq": "groq/openai/gpt-oss-120b",
}
STREAM, WHOLE = Question(1, 0.0, "smart", True, 100, 40), Question(1, 0.0, "smart", False, 100, 40)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """What rests is no news here."""
    logger = logging.getLogger("aigateway")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


def played(vendors: Mapping[str, Any], **scenario: Any) -> Played:
    workload = scenario.pop("workload", None)
    return play(read_scenario({"duration": 20.0, **scenario, "vendors": vendors}), workload)


def reported(vendors: Mapping[str, Any], **scenario: Any) -> dict[str, Any]:
    return report_of(played(vendors, **scenario))


def once(vendor: str, fault: Mapping[str, Any], question: Question) -> Played:
    """Ask a vendor that fails, once and without another try."""
    route = {"targets": [MODELS[vendor]], "retries": {"attempts": 1, "same_target": 0}}
    limits = {"connect": 1.0, "first_content": 5.0, "silence": 5.0, "answer": 5.0}
    gateway = {"routes": {"smart": route}, "timeouts": limits}
    return played({vendor: {"faults": [fault]}}, gateway=gateway, workload=[question])


def run(*words: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aigateway", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **environ}, timeout=120)


# -- the same every time --------------------------------------------------------------------------

BUSY = """
seed = 4
duration = 20
[arrivals]
rate = 15
[request]
leave = { share = 0.1, after = { median = 1, p95 = 4 } }
[vendors.deepseek]
keys = 2
accounts = 2
requests_per_minute = 100
[[vendors.deepseek.faults]]
kind = "error"
share = 0.2
[[vendors.deepseek.faults]]
kind = "cut"
share = 0.1
[vendors.openai]
[vendors.groq]
[gateway.routes.smart]
targets = ["deepseek/deepseek-flash", "openai/gpt-5.4-mini", "groq/openai/gpt-oss-120b"]
hedge = { quantile = 0.9, extra = 0.1 }
"""


def test_the_same_seed_gives_the_same_report_to_the_byte(tmp_path: Path) -> None:
    """Two processes with other hash seeds say the same; another seed says something else."""
    file = tmp_path / "busy.toml"
    file.write_text(BUSY)
    first, second = (run("simulate", file, "--json", cwd=tmp_path, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    other = run("simulate", file, "--json", "--seed", "5", cwd=tmp_path)

    assert (0, "") == (first.returncode, first.stderr)
    assert first.stdout == second.stdout
    assert 5 == json.loads(other.stdout)["seed"]
    assert json.loads(first.stdout)["requests"] != json.loads(other.stdout)["requests"]


def test_what_is_asked_does_not_depend_on_the_gateway() -> None:
    """Another configuration is asked the same questions at the same times."""
    one = played({"deepseek": {"faults": [{"kind": "error"}]}}, seed=3)
    other = played({"openai": {}, "groq": {}}, seed=3)

    assert [asked.question for asked in one.asked] == [asked.question for asked in other.asked]


def test_trio_is_left_as_it_was() -> None:
    """Making trio repeat itself lasts for a play only."""
    from trio._core import _run

    before = _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate()
    played({"openai": {}}, requests=3)

    assert before == (_run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate())


def test_the_clock_tells_the_virtual_time() -> None:
    """It follows the loop, counts the wall's from a fixed day, and sleeping takes no time."""
    import trio
    import trio.testing

    async def story() -> tuple[float, float]:
        clock = LoopClock()
        before = clock.now(), clock.wall()
        await clock.sleep(3600)
        return clock.now() - before[0], clock.wall() - before[1]

    assert (3600, 3600) == trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))


# -- vendors ------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", [STREAM, WHOLE], ids=["stream", "whole"])
@pytest.mark.parametrize("vendor", MODELS)
def test_every_dialect_is_understood(vendor: str, question: Question) -> None:
    """The plug-in reads the whole answer, and the usage its vendor reported."""
    (asked,) = played({vendor: {}}, workload=[question]).asked

    assert ("served", "", False) == (asked.state, asked.reason, asked.garbled)
    assert asked.text.startswith("#1 ")
    assert asked.decision is not None
    assert MODELS[vendor] == asked.decision.answered_by


FAULTS: tuple[tuple[dict[str, Any], set[str]], ...] = (
    ({"kind": "error", "status": 503}, {"overloaded", "server_error"}),
    ({"kind": "error", "status": 200}, {"server_error", "overloaded"}),
    ({"kind": "rate_limit"}, {"rate_limit"}),
    ({"kind": "rate_limit", "retry_after": 9}, {"rate_limit"}),
    ({"kind": "auth"}, {"auth"}),
    ({"kind": "no_money"}, {"insufficient_funds", "auth"}),
    ({"kind": "context_length"}, {"context_length"}),
    ({"kind": "html"}, {"protocol_error"}),
    ({"kind": "down"}, {"connect"}),
    ({"kind": "black_hole"}, {"connect"}),
    ({"kind": "reset"}, {"stream_interrupted"}),
    ({"kind": "hang"}, {"timeout"}),
)


@pytest.mark.parametrize("question", [STREAM, WHOLE], ids=["stream", "whole"])
@pytest.mark.parametrize("vendor", MODELS)
@pytest.mark.parametrize(
    ("fault", "kinds"), FAULTS, ids=lambda value: "-".join(map(str, getattr(value, "values", list)()))
)
def test_every_refusal_is_classified_by_the_plug_in(
    fault: dict[str, Any], kinds: set[str], vendor: str, question: Question
) -> None:
    """What a simulated vendor says in its own words is what the real plug-in takes for this failure."""
    found = once(vendor, fault, question)
    (asked,) = found.asked

    assert "failed" == asked.state
    assert asked.decision is not None
    assert {str(step.outcome) for step in asked.decision.steps} <= kinds
    assert fault["kind"] == found.upstream[0].outcome
    if "retry_after" in fault:
        assert 9 == found.upstream[0].wait
        assert asked.retry_after == pytest.approx(9, abs=0.1)


@pytest.mark.parametrize("vendor", MODELS)
@pytest.mark.parametrize("kind", ["cut", "stall", "error_event"])
def test_a_stream_breaks_after_so_many_pieces(kind: str, vendor: str) -> None:
    """Before the first piece it is a failure; after it, an interruption that keeps what had arrived."""
    (before,) = once(vendor, {"kind": kind, "after": 0}, STREAM).asked
    (after,) = once(vendor, {"kind": kind, "after": 2}, STREAM).asked

    assert "failed" == before.state
    assert "interrupted" == after.state
    assert not after.garbled
    assert 2 == len(after.text.split())


@pytest.mark.parametrize("vendor", MODELS)
def test_one_broken_event_is_survived(vendor: str) -> None:
    """A line that is no JSON among good ones costs nothing; a whole answer that is none is a failure."""
    (streamed,) = once(vendor, {"kind": "bad_json", "after": 3}, STREAM).asked
    (whole,) = once(vendor, {"kind": "bad_json", "after": 3}, WHOLE).asked

    assert ("served", False) == (streamed.state, streamed.garbled)
    assert "failed" == whole.state


def test_times_are_the_vendors() -> None:
    """First content and pace follow the scenario; a slow phase stretches both."""
    vendor = {"first_content": 0.5, "tokens_per_s": 20, "faults": [{"kind": "slow", "factor": 4, "at": 10}]}
    asking = [STREAM._replace(number=1), STREAM._replace(number=2, at=10.0)]
    usual, slow = played({"openai": vendor}, workload=asking).asked

    assert usual.first_content == pytest.approx(0.5)
    assert usual.seconds == pytest.approx(0.5 + 40 / 20, abs=0.3)
    assert slow.first_content == pytest.approx(2.0)
    assert slow.seconds == pytest.approx(4 * (0.5 + 40 / 20), abs=1)


def test_limits_are_kept_by_account() -> None:
    """Two accounts are let through twice as often a minute as one; whoever asks too often is told when to come."""
    limited = {"requests_per_minute": 10, "names_wait": True}
    route = {"routes": {"smart": {"targets": [MODELS["openai"]]}}}
    load = {"arrivals": {"rate": 2, "spacing": "even"}, "duration": 59.0, "gateway": route}
    one = played({"openai": limited}, **load)
    two = played({"openai": {**limited, "keys": 4, "accounts": 2}}, **load)

    assert 10 == sum(call.outcome == "answered" for call in one.upstream)
    assert 20 == sum(call.outcome == "answered" for call in two.upstream)
    assert {"account-1", "account-2"} == {call.account for call in two.upstream}
    assert all(call.wait for call in one.upstream if call.outcome == "rate_limit")


def test_too_many_at_once_are_refused() -> None:
    """A vendor takes as many calls at once as its scenario says."""
    at_once = [WHOLE._replace(number=number) for number in range(1, 8)]
    found = played({"deepseek": {"concurrency": 5}}, workload=at_once)

    assert {"answered": 5, "rate_limit": 2} == Counter(call.outcome for call in found.upstream)


def test_faults_hit_whom_they_say() -> None:
    """Some calls, every so many, a share, or those with one key; of two faults the first counts."""

    def hits(fault: Mapping[str, Any]) -> list[int]:
        route = {"targets": [MODELS["openai"]], "retries": {"attempts": 1, "same_target": 0}}
        asking = [WHOLE._replace(number=number, at=number * 10.0) for number in range(1, 13)]
        vendors = {"openai": {"keys": 2, "faults": [{"kind": "error", **fault}, {"kind": "slow", "factor": 1.1}]}}
        found = played(vendors, workload=asking, gateway={"routes": {"smart": route}})
        return [call.question for call in found.upstream if call.outcome == "error"]

    assert [1, 2] == hits({"calls": 2})
    assert [1, 4, 7, 10] == hits({"every": 3})
    assert [1, 3, 5, 7, 9, 11] == hits({"keys": [1]})
    assert [4, 5] == hits({"at": 40, "until": 60})
    assert 0 < len(hits({"share": 0.5})) < 12


def test_going_down_breaks_what_is_under_way() -> None:
    """A stream that runs when its vendor goes down is interrupted then."""
    vendor = {"tokens_per_s": 10, "first_content": 0.5, "faults": [{"kind": "down", "at": 2.0}]}
    (asked,) = played({"openai": vendor}, workload=[STREAM]).asked

    assert "interrupted" == asked.state
    assert asked.seconds == pytest.approx(2.0, abs=0.01)


# -- who asks -----------------------------------------------------------------------------------


def test_phases_change_the_rate() -> None:
    """Each phase has its own rate, silence too; requests bound their number."""
    load = {"rate": 1, "spacing": "even", "phases": [{"at": 5, "rate": 10}, {"at": 7, "rate": 0}, {"at": 9, "rate": 2}]}
    times = [asked.question.at for asked in played({"groq": {}}, arrivals=load, duration=11.0).asked]
    few = played({"groq": {}}, arrivals=load, duration=11.0, requests=7)

    assert (5, 20, 0, 4) == tuple(sum(a <= at < b for at in times) for a, b in ((0, 5), (5, 7), (7, 9), (9, 11)))
    assert 7 == len(few.asked)


def test_clients_who_leave_are_counted_and_their_calls_closed() -> None:
    """Somebody who loses patience is no failure, and his call ends when he leaves."""
    vendor = {"first_content": 3.0}
    found = played({"openai": vendor}, request={"leave": {"share": 1.0, "after": 1.0}}, duration=5.0)

    assert {"cancelled"} == {asked.state for asked in found.asked}
    assert all(call.ended is not None and call.ended - call.at <= 1.01 for call in found.upstream)
    assert {"left"} == {call.outcome for call in found.upstream}


# -- the report ---------------------------------------------------------------------------------


def test_the_report_counts_what_happened() -> None:
    """Served, failed over, answered by whom, breaker, healing: of an outage whose course is known."""
    vendors = {
        "deepseek": {"first_content": 0.2, "faults": [{"kind": "error", "status": 503, "at": 10, "until": 30}]},
        "groq": {"first_content": 0.2},
    }
    report = reported(vendors, duration=70.0, arrivals={"rate": 5, "spacing": "even"})
    upstream, (healed,) = report["upstream"], report["healed"]

    assert (350, 350) == (report["requests"]["total"], report["requests"]["served"])
    assert 350 == sum(report["answered_by"].values()) == sum(upstream["attempts"].values())
    assert upstream["calls"] == sum(int(calls) * count for calls, count in upstream["attempts"].items())
    assert upstream["outcomes"]["deepseek/deepseek-flash"]["error"] == upstream["calls"] - 350
    assert 0 < report["failed_over"]["requests"] < 20
    assert 0.05 <= report["failed_over"]["added_seconds"]["p50"] < 3
    assert 1 <= report["rests"]["breaker_opened"]["model deepseek/deepseek-flash"] <= 4
    assert "deepseek" == healed["vendor"]
    assert 0 < healed["answers_again_after"] <= 30


def test_failures_are_told_apart() -> None:
    """By status and code; what was late or garbled is a number of its own, and is none."""
    report = reported({"deepseek": {"faults": [{"kind": "error"}]}}, arrivals={"rate": 1}, seed=2)
    requests = report["requests"]

    assert {"503 no_answer": requests["total"]} == requests["failed"]
    assert (0, 0, 0) == (requests["served"], requests["late"], requests["garbled"])


def test_the_longest_request_is_named() -> None:
    """The one that came nearest to its deadline."""
    vendor = {"first_content": 0.5, "tokens_per_s": 100, "faults": [{"kind": "hang", "calls": 1}]}
    limits = {"timeouts": {"answer": 20.0, "first_content": 20.0}}
    report = reported({"openai": vendor}, request={"deadline": 8.0}, requests=20, gateway=limits)

    assert {"request": 1, "seconds": 8.0, "deadline": 8.0} == report["longest"]


def test_cost_is_exact_where_a_price_is_known() -> None:
    """The catalogue's base price for the day, times the tokens; picodollars are not lost."""
    report = reported({"deepseek": {}}, workload=[WHOLE])
    row = report["cost"]["targets"]["deepseek/deepseek-flash"]

    assert (1, 100, 40) == (row["calls"], row["input"], row["output"])
    assert "0.000039" == row["dollars"] == report["cost"]["dollars"]  # 100 x $0.15 + 40 x $0.60 a million


def test_an_unknown_price_is_never_zero() -> None:
    """A model without a price makes its cost, and the sum, unknown."""
    gateway = {"routes": {"smart": {"targets": ["own/m"]}}, "providers": {"own": {"type": "openai-compatible"}}}
    report = reported({"own": {}}, workload=[WHOLE], gateway=gateway)

    assert 1 == report["requests"]["served"]
    assert "unknown" == report["cost"]["targets"]["own/m"]["dollars"] == report["cost"]["dollars"]
    assert "unknown" in table_of(report)


def test_an_empty_scenario_can_be_reported() -> None:
    """Nobody asks: no division by zero, in figures or as a table."""
    report = reported({"groq": {}}, arrivals={"rate": 0})

    assert 0 == report["requests"]["total"]
    assert "requests" in table_of(report)


# -- bad scenarios ------------------------------------------------------------------------------

GOOD = "duration = 5\n[vendors.groq]\n"
BAD = (
    ("duration = 5\n[vendors.groq]\nlatencyy = 1\n", "line 3: vendors.groq.latencyy is not a setting", "'latency'"),
    (GOOD + '[[vendors.groq.faults]]\nkind = "errr"\n', "line 4: vendors.groq.faults[0].kind: must be 'error'", ""),
    (GOOD + '[[vendors.groq.faults]]\nkind = "cut"\nstatus = 500\n', "line 3", "`status` goes with error"),
    (GOOD + '[[vendors.groq.faults]]\nkind = "cut"\nat = 9\nuntil = 9\n', "line 3", "later than `at`"),
    (GOOD + '[[vendors.groq.faults]]\nkind = "error"\nstatus = 302\n', "line 5", "400 to 599"),
    (GOOD + 'first_content = "fast"\n', "line 3: vendors.groq.first_content: must be a table", ""),
    (GOOD + "first_content = { median = 2, p95 = 1 }\n", "line 3", "must not be smaller"),
    (GOOD + "[arrivals]\nrate = -1\n", "line 4: arrivals.rate", "greater than or equal to 0"),
    (GOOD + "[arrivals]\nphases = [{ at = 5, rate = 1 }, { at = 5, rate = 2 }]\n", "line 4", "later than the one"),
    (GOOD + "[request]\nstream = 2\n", "line 4: request.stream", "less than or equal to 1"),
    ("[vendors.groq]\n", "neither `duration` nor `requests`", ""),
    ("duration = 5\n", "there is no vendor", ""),
    (GOOD + '[gateway.routes.smart]\ntargetz = ["groq/x"]\n', "line 4: routes.smart.targetz", "'targets'"),
    (GOOD + '[gateway.routes.smart]\ntargets = ["grok/x"]\n', "line 4", "Did you mean 'groq'"),
    (GOOD + '[gateway]\ndefault_model = "smrt"\n[gateway.routes.smart]\ntargets = ["groq/x"]\n', "line 4", "smrt"),
    (GOOD + '[request]\nmodel = "smrt"\n', "request.model", "smart"),
    ('duration = 5\nconfig = "x.toml"\n[vendors.groq]\n[gateway]\nfallback = ""\n', "", "exclude each other"),
    ('duration = 5\nconfig = "missing.toml"\n', "missing.toml cannot be read", ""),
    ("duration = 5\nstart = 2026-11-20T12:00:00\n[vendors.groq]\n", "line 2", "must name its zone"),
    ("duration = \n", "not valid TOML at line 1", ""),
    ("duration = 5\n[vendors.acme]\n", "acme", ""),
)


@pytest.mark.parametrize(("text", "where", "what"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_a_bad_scenario_is_refused(text: str, where: str, what: str, tmp_path: Path) -> None:
    """Nothing is played; the message names the file, the line, and what it should be."""
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        play(read_scenario(file))

    assert where in refused.value.message
    assert what in refused.value.message
    assert "\n" not in refused.value.message


def test_without_trio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trio comes with an extra; without it the message names it."""
    monkeypatch.setitem(sys.modules, "trio", None)
    with pytest.raises(ConfigurationError, match=r"needs trio.*Install aigateway\[testing\]"):
        played({"groq": {}})


# -- a configuration, and the command ------------------------------------------------------------

CONFIG = """
default_model = "smart"
[providers.groq]
keys = [{ secret = "env:NOBODY_SET_THIS" }, { secret = "file:nowhere.key", quota_group = "b" }]
[providers.second]
type = "deepseek"
keys = [{ secret = "env:NOR_THIS" }]
[routes.smart]
targets = ["groq/openai/gpt-oss-120b", "second/deepseek-flash"]
[[guards]]
use = "log"
[[callers.keys]]
name = "editor"
secret = "env:NEITHER_THIS"
[state]
url = "redis://localhost/0"
"""


def test_a_real_configuration_is_played_without_its_secrets(tmp_path: Path) -> None:
    """Keys, groups and routes are the configuration's; no secret is read, no state opened, nothing logged."""
    (tmp_path / "aigateway.toml").write_text(CONFIG)
    (tmp_path / "scenario.toml").write_text('config = "aigateway.toml"\nduration = 10\n[vendors.groq]\n')
    found = play(read_scenario(tmp_path / "scenario.toml"))

    assert {"default", "b"} == {call.account for call in found.upstream}
    assert {"groq/openai/gpt-oss-120b"} == {call.target for call in found.upstream}
    assert ("second is not described, and never fails",) == found.plan.notes


def test_a_vendor_the_configuration_does_not_have_is_refused(tmp_path: Path) -> None:
    """A misspelt vendor would silently never fail."""
    (tmp_path / "aigateway.toml").write_text(CONFIG)
    (tmp_path / "scenario.toml").write_text('config = "aigateway.toml"\nduration = 10\n[vendors.grok]\n')
    with pytest.raises(ConfigurationError, match=r"scenario.toml, line 3: vendors.grok .* Did you mean 'groq'"):
        read_scenario(tmp_path / "scenario.toml")


def test_the_command(tmp_path: Path) -> None:
    """It prints a table, or JSON; plays another configuration; a bad scenario is exit code 3 and one line."""
    (tmp_path / "good.toml").write_text(GOOD)
    (tmp_path / "bad.toml").write_text(BAD[0][0])
    (tmp_path / "other.toml").write_text(CONFIG)
    table, report, other, bad, missing = (
        run("simulate", *words, cwd=tmp_path)
        for words in (
            ("good.toml",),
            ("good.toml", "--json"),
            ("good.toml", "--json", "--config", "other.toml"),
            ("bad.toml",),
            ("missing.toml",),
        )
    )

    assert (0, 0, 0, 3, 3) == tuple(done.returncode for done in (table, report, other, bad, missing))
    assert "groq/openai/gpt-oss-120b" in table.stdout
    assert json.loads(report.stdout)["requests"]["total"] == json.loads(other.stdout)["requests"]["total"]
    assert ["second is not described, and never fails"] == json.loads(other.stdout)["notes"]
    assert "Did you mean 'latency'?" in bad.stderr
    assert 1 == bad.stderr.count("\n") == missing.stderr.count("\n")


# -- what is written about it --------------------------------------------------------------------

ROOT = Path(__file__).parent.parent.parent
TABLES = {
    "Top level": Scenario,
    "`[arrivals]`": Arrivals,
    "`[request]`": Questions,
    "`[vendors.NAME]`": Behaviour,
    "`[[vendors.NAME.faults]]`": Fault,
}


@pytest.mark.parametrize("heading", TABLES)
def test_every_setting_of_a_scenario_is_documented(heading: str) -> None:
    """Each has a row under its table's heading, with its default where that is a plain value; so has each fault."""
    page = (ROOT / "docs/reference/scenarios.md").read_text(encoding="utf-8")
    text = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("| "):
            rows |= dict.fromkeys(re.findall(r"`([^`]+)`", line.split("|")[1]), line)

    for name, info in TABLES[heading].model_fields.items():
        assert name in rows, f"{name} is not documented"
        if isinstance(info.default, int | float):
            assert f"`{info.default}`" in rows[name], f"{name} has another default"
    if TABLES[heading] is Fault:
        assert set(get_args(FaultKind)) <= set(rows)


def test_every_figure_of_the_report_is_documented() -> None:
    """Each field of the report has a row."""
    page = (ROOT / "docs/reference/scenarios.md").read_text(encoding="utf-8")
    text = page.partition("\n## The report\n")[2]

    assert set(reported({"groq": {}}, requests=1)) <= set(re.findall(r"`([a-z_]+)`", text))


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("outage", lambda report: not report["requests"]["failed"]),
        ("rush_hour", lambda report: report["answered_by"]["minimax/MiniMax-M3"] > 100),
        ("bad_streams", lambda report: report["requests"]["total"] == report["requests"]["served"] == 2000),
        ("everything_down", lambda report: report["upstream"]["per_request"] < 1.2),
    ],
    ids=["outage", "rush_hour", "bad_streams", "everything_down"],
)
def test_the_scenarios_among_the_examples(name: str, claim: Callable[[dict[str, Any]], bool]) -> None:
    """Each is played as it stands, shows what its comment promises, and nothing is late or garbled."""
    report = report_of(play(read_scenario(ROOT / f"examples/scenarios/{name}.toml")))

    assert claim(report)
    assert (0, 0) == (report["requests"]["late"], report["requests"]["garbled"])


def test_no_scenario_is_left_out() -> None:
    """Every file among the examples is played above."""
    names = {path.stem for path in (ROOT / "examples/scenarios").iterdir()}

    assert {"outage", "rush_hour", "bad_streams", "everything_down"} == names


def test_several_callers_ask() -> None:
    """Each is a caller of its own for limits, conditions, experiments; nothing else that is asked changes."""
    arms = {"policy": "experiment", "targets": ["deepseek/deepseek-flash", "groq/openai/gpt-oss-120b"]}
    own = {"targets": [{"to": "deepseek/deepseek-flash", "when": {"caller": "a"}}, "groq/openai/gpt-oss-120b"]}
    two = {"deepseek": {}, "groq": {}}

    def answered(route: Mapping[str, Any], callers: Any) -> Mapping[str, Counter[str]]:
        made = played(two, duration=60.0, request={"callers": callers}, gateway={"routes": {"r": route}})
        found: dict[str, Counter[str]] = {}
        for asked in made.asked:
            assert asked.decision is not None
            found.setdefault(asked.question.caller, Counter())[asked.decision.answered_by.partition("/")[0]] += 1
        return found

    many, named, alone = answered(arms, 50), answered(own, ["a", "b"]), answered(arms, 1)

    assert 50 == len(many)
    assert all(1 == len(targets) for targets in many.values())
    assert {"deepseek", "groq"} == {target for targets in many.values() for target in targets}
    assert {"a": ["deepseek"], "b": ["groq"]} == {name: list(targets) for name, targets in sorted(named.items())}
    assert ([""], 1) == (list(alone), len(alone[""]))
    assert sum(map(Counter.total, many.values())) == alone[""].total()
