"""Worker processes that die, hang, print or raise cost one trial, never the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from theorylab.registry import Locator, load
from theorylab.run.execute import execute
from theorylab.run.plan import jobs, make_plan
from theorylab.run.records import Request
from theorylab.run.streams import trial_stream
from theorylab.run.worker import Work

from .conftest import PLUGINS

AWKWARD = Locator("awkward", str(PLUGINS / "awkward.py"), "file")
GUILTY = 5


def results_of(tmp_path, fault, *, workers=2, timeout_s=None, chunk=4):
    """Results of four seeds on an instance that always misbehaves."""
    from theorylab.problems.record import save_instance

    plugin = load(AWKWARD)
    calm = plugin.references["calm"]
    instance = calm.replace(fault=fault, at=-1.0)
    save_instance(instance, tmp_path / "request.json")
    plan = make_plan(Request(AWKWARD, seeds=4, instance=str(tmp_path / "request.json")), plugin)
    return plugin, plan, execute(
        plugin, AWKWARD, plan, jobs(plan, chunk, max(workers, 2)), Work(plan.claims, plan.parameters, 0), workers=workers,
        timeout_s=timeout_s,
    )  # fmt: skip


@pytest.mark.parametrize(("fault", "message"), [("exit", "exited with status 7"), ("segfault", r"killed \(signal 11\)")])
def test_a_worker_that_dies_is_named_and_every_trial_is_accounted_for(tmp_path, fault, message):
    import re

    _, _, results = results_of(tmp_path, fault)
    assert [r.seed for r in results] == list(range(4))
    assert all(re.search(message, r.problem) for r in results)


def test_only_the_guilty_seed_is_lost(tmp_path):
    plugin_file = tmp_path / "one_bad_seed.py"
    plugin_file.write_text(f"""
import os
from dataclasses import dataclass
from theorylab import Always, Instance, Plugin

plugin = Plugin("one-bad-seed", api=1, title="t", source="s")

@dataclass(frozen=True, eq=False)
class One(Instance):
    scale: float = 1.0

@plugin.run()
def run(one, rng):
    value = float(rng.random())
    if abs(value - {float(trial_stream(0, "one-bad-seed", _digest(), GUILTY).random())!r}) < 1e-12:
        os._exit(3)
    return {{"x": value}}

@plugin.claim("x", holds=Always(), source="s")
def below_one():
    return 1

plugin.reference("one", One())
""")
    locator = Locator("one_bad_seed", str(plugin_file), "file")
    plugin = load(locator)
    plan = make_plan(Request(locator, seeds=12), plugin)
    assert plan.subjects[0].instance.digest() == _digest()
    results = execute(plugin, locator, plan, jobs(plan, 12, 2), Work(plan.claims, plan.parameters, 0), workers=2)
    bad = [r.seed for r in results if r.problem]
    assert bad == [GUILTY]
    assert [r.seed for r in results] == list(range(12))


def _digest():
    """Digest of an instance of kind 'instance' with the one field scale = 1.0."""
    from dataclasses import dataclass

    from theorylab import Instance

    @dataclass(frozen=True, eq=False)
    class One(Instance):
        scale: float = 1.0

    return One().digest()


def test_a_hanging_trial_is_killed_at_its_deadline(tmp_path, monkeypatch):
    monkeypatch.setattr("theorylab.run.execute.GRACE_S", 3.0)
    started = time.monotonic()
    _, _, results = results_of(tmp_path, "hang", timeout_s=0.2, chunk=4, workers=2)
    assert all("timed out: no result within 0.2 s" in r.problem for r in results)
    assert time.monotonic() - started < 120


def test_statistical_verdicts_do_not_depend_on_workers_or_chunks():
    from theorylab.run.check import check

    locator = Locator("ucb1", str(PLUGINS / "ucb1.py"), "file")

    def verdicts(**options):
        report = check(Request(locator, seeds=70, settings=(("horizon", "200"),), **options), "test")
        return [(v.claim, v.status, v.reason, v.evidence) for v in report.verdicts], sorted(report.digests)

    alone = verdicts()
    for options in ({"chunk": 1}, {"workers": 1}, {"workers": 2, "chunk": 3}, {"workers": 4, "chunk": 11}):
        assert verdicts(**options) == alone, options


def test_prints_of_a_plugin_stay_off_stdout(command, tmp_path):
    from theorylab.problems.record import save_instance

    save_instance(load(AWKWARD).references["calm"].replace(fault="print", at=-1.0), tmp_path / "r.json")
    for workers in ("0", "1"):
        done = command(
            "check",
            AWKWARD.value,
            "--instance",
            tmp_path / "r.json",
            "--seeds",
            "3",
            "--format",
            "json",
            "--workers",
            workers,
        )
        assert done.returncode == 0, done.stderr
        assert "noise" not in done.stdout
        assert "noise" in done.stderr


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_with_a_report_and_no_orphans(tmp_path, living, workers, sent):
    slow = tmp_path / "slow.py"
    slow.write_text("""
import time
from pathlib import Path
from dataclasses import dataclass
from theorylab import Always, Instance, Plugin

plugin = Plugin("slow", api=1, title="t", source="s")

@dataclass(frozen=True, eq=False)
class One(Instance):
    scale: float = 1.0

@plugin.run()
def run(one, rng):
    time.sleep(0.2)
    return {"x": 0.5}

@plugin.claim("x", holds=Always(), source="s")
def below_one():
    return 1

plugin.reference("one", One())
""")
    process = subprocess.Popen(
        [sys.executable, "-m", "theorylab", "check", str(slow), "--seeds", "1000", "--chunk", "1", "--workers", str(workers)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    time.sleep(6.0)
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)  # as a terminal does: to the whole group
    else:
        process.send_signal(sent)
    out, err = process.communicate(timeout=30)
    assert process.returncode == (130 if sent == signal.SIGINT else 143), err
    assert "interrupted, judged by the runs that were finished" in out
    assert "Traceback" not in err
    deadline = time.monotonic() + 5.0
    while living(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not living(process.pid)


STOPPED = """
import time
from pathlib import Path
from dataclasses import dataclass
from theorylab import Always, Instance, Plugin

plugin = Plugin("slow", api=1, title="t", source="s")

@dataclass(frozen=True, eq=False)
class One(Instance):
    scale: float = 1.0

@plugin.run()
def run(one, rng):
    return {"x": 0.5, "y": 0.5}

@plugin.claim("x", holds=Always(), source="s")
def below_one():
    return 1

@plugin.claim("y", holds=Always(), source="s")
def below_two():
    return 2

@plugin.mutant(refuted_by="below_one")
def fast(one, rng):
    return {"x": 1.5, "y": 0.5}

@plugin.mutant(refuted_by="below_two")
def slow(one, rng):
    Path("begun").touch()
    time.sleep(0.3)
    return {"x": 0.5, "y": 2.5}

@plugin.mutant(refuted_by="below_one")
def later(one, rng):
    return {"x": 1.5, "y": 0.5}

plugin.reference("one", One())
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_audit_that_is_stopped_keeps_what_it_knows_and_says_how_to_go_on(tmp_path, command, sent):
    (tmp_path / "slow.py").write_text(STOPPED)
    process = subprocess.Popen(
        [sys.executable, "-m", "theorylab", "audit", "slow.py", "--seeds", "200", "--chunk", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    deadline = time.monotonic() + 60.0
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(sent)
    out, err = process.communicate(timeout=30)
    assert process.returncode == (130 if sent == signal.SIGINT else 143), err
    assert "Traceback" not in err
    assert "1 fast: refuted by 1" in out
    assert "interrupted, 2 mutants are left" in out
    assert "TOOTHLESS" not in out  # of claims whose mutants were not come to nothing is known
    words = err.strip().splitlines()[-1].partition("Go on with: theorylab ")[2].split()
    assert words == ["audit", str(tmp_path / "slow.py"), "--seeds", "200", "--mutant", "slow", "--mutant", "later"]
    words[words.index("200")] = "2"
    done = command(*words, cwd=tmp_path)
    assert "2 of 2 mutants refuted, 2 claims; the kill matrix is full" in done.stdout
