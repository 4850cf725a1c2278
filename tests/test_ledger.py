"""The ledger: what is kept survives kills, full disks, damaged files and other runs; what is known is not run again."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theorylab.errors import LedgerError, PluginError
from theorylab.registry import Locator, load
from theorylab.run import ledger as ledgers
from theorylab.run.check import check
from theorylab.run.codec import decode, encode, request_from_json, request_to_json
from theorylab.run.ledger import MIGRATIONS, VERSION, Ledger
from theorylab.run.records import Job, Observation, Request, Subject, Suspect, TrialResult
from theorylab.run.worker import Work, run_block, shared_state

PLUGINS = Path(__file__).resolve().parent / "plugins"
STEADY = Locator("steady", str(PLUGINS / "steady.py"), "file")
AWKWARD = PLUGINS / "awkward.py"

FINITE = st.floats(allow_nan=False)
SUSPECTS = st.builds(Suspect, st.integers(0, 10**6), FINITE, FINITE, FINITE)
OBSERVATIONS = st.builds(
    Observation, applies=st.booleans(), entries=st.integers(0, 10**9), ties=st.integers(0, 9), suspects=st.lists(SUSPECTS).map(tuple),
    tightness=st.none() | FINITE, tightest=st.none() | SUSPECTS, values=st.lists(FINITE).map(tuple), highs=st.lists(FINITE).map(tuple),
    failed=st.booleans(), informative_from=st.none() | FINITE, problem=st.none() | st.text(),
)  # fmt: skip


@given(st.dictionaries(st.text(min_size=1), OBSERVATIONS), st.integers(0, 2**40))
def test_trials_come_back_bit_for_bit(observations, seed):
    result = TrialResult(3, seed, observations, digest="abc")
    assert decode(encode(result), 3, seed) == result


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(payload):
    with pytest.raises(ValueError, match="no trial result"):
        decode(payload, 0, 0)


def test_requests_come_back():
    request = Request(STEADY, seeds=None, replay=("drawn-3", 4), settings=(("horizon", "10"),), drop=("a",), timeout_s=1.5)
    assert request_from_json(json.loads(json.dumps(request_to_json(request)))) == request


def essence(report):
    """All of a report but when, where and how long."""
    return (
        report.verdicts, report.digests, dataclasses.replace(report.plan, subjects=()), [s.label for s in report.plan.subjects],
    )  # fmt: skip


def test_what_is_known_is_not_run_again(tmp_path):
    store = Ledger.open(tmp_path / "l.sqlite")
    plain = check(Request(STEADY, seeds=12), "test")
    first = check(Request(STEADY, seeds=12), "test", ledger=store)
    again = check(Request(STEADY, seeds=12, chunk=5), "test", ledger=store)
    assert (first.known_trials, again.known_trials) == (0, 24)
    assert essence(first) == essence(again) == essence(plain)
    more = check(Request(STEADY, seeds=20), "test", ledger=store)
    assert more.known_trials == 24
    assert essence(more) == essence(check(Request(STEADY, seeds=20), "test"))
    assert check(Request(STEADY, seeds=12, use_cache=False), "test", ledger=store).known_trials == 0
    assert check(Request(STEADY, seeds=12, root_seed=1), "test", ledger=store).known_trials == 0
    assert check(Request(STEADY, seeds=12, claims=("below-level",)), "test", ledger=store).known_trials == 24


def test_a_claim_that_was_not_asked_for_is_not_known(tmp_path):
    store = Ledger.open(tmp_path / "l.sqlite")
    check(Request(STEADY, seeds=4, claims=("below-level",)), "test", ledger=store)
    assert check(Request(STEADY, seeds=4), "test", ledger=store).known_trials == 0
    assert check(Request(STEADY, seeds=4), "test", ledger=store).known_trials == 8


def test_another_source_is_another_plugin(command, tmp_path):
    own = shutil.copy(PLUGINS / "steady.py", tmp_path / "steady.py")
    environment = {"THEORYLAB_LEDGER": str(tmp_path / "l.sqlite")}
    options = ("--seeds", 6, "--format", "json")
    first = json.loads(command("check", own, *options, env=environment).stdout)
    text = (tmp_path / "steady.py").read_text().replace("* level.level,", "* level.level * 3,")
    (tmp_path / "steady.py").write_text(text)
    second = json.loads(command("check", own, *options, env=environment).stdout)
    assert first["summary"]["REFUTED"] == 0
    assert second["summary"]["REFUTED"] == 1


def test_failed_trials_are_tried_again(command, tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"fault": "raise", "at": -1.0}))
    environment = {"THEORYLAB_LEDGER": str(tmp_path / "l.sqlite")}
    done = command("check", AWKWARD, "--instance", tmp_path / "r.json", "--seeds", 3, env=environment)
    assert done.returncode == 3
    store = Ledger.open_to_read(tmp_path / "l.sqlite")
    assert store.counts() == (1, 0)


# -- accidents -------------------------------------------------------------------------------------------------------------


def run_steady(tmp_path, *extra, pause="0.005", seeds=80):
    """A check of the steady plugin in a process of its own, started and not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "theorylab", "check", STEADY.value, "--seeds", str(seeds), "--chunk", "2", "--format", "json", *extra],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "STEADY_PAUSE_S": pause, "THEORYLAB_LEDGER": str(tmp_path / "l.sqlite")},
    )  # fmt: skip


def finished(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return comparable(json.loads(out))


def comparable(document):
    return {k: v for k, v in document.items() if k not in ("run", "seconds", "command")}


def killed_until_done(tmp_path, kills, workers):
    """kill -9 at random moments, each time going on, until a run is left alone; its report, and the trials kept after each kill."""
    rng, kept = random.Random(kills + workers), []
    extra = ("--workers", str(workers)) if workers else ()
    for _ in range(kills):
        process = run_steady(tmp_path, *extra)
        time.sleep(rng.uniform(0.2, 2.5))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        if (tmp_path / "l.sqlite").exists() and (tmp_path / "l.sqlite").stat().st_size:
            try:
                kept.append(Ledger.open_to_read(tmp_path / "l.sqlite").counts()[1])
            except LedgerError:  # killed while the tables were being made
                kept.append(0)
    return finished(run_steady(tmp_path, *extra)), kept


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_runs_go_on_to_the_same_report(tmp_path, workers):
    report, kept = killed_until_done(tmp_path, 5, workers)
    (tmp_path / "whole").mkdir()
    assert report == finished(run_steady(tmp_path / "whole"))
    assert kept == sorted(kept), "a kill lost what was kept"
    assert not Ledger.open_to_read(tmp_path / "l.sqlite").bad_rows()


@pytest.mark.full
@pytest.mark.parametrize("workers", [0, 2])
def test_a_hundred_kills(tmp_path, workers):
    report, kept = killed_until_done(tmp_path, 100, workers)
    (tmp_path / "whole").mkdir()
    assert report == finished(run_steady(tmp_path / "whole"))
    assert kept == sorted(kept)
    assert max(kept) > 0


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_is_resumed(tmp_path, sent, status):
    process = run_steady(tmp_path, "--alpha", "1e-5", pause="0.05")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if (tmp_path / "l.sqlite").exists():
            try:
                if Ledger.open_to_read(tmp_path / "l.sqlite").counts()[1] >= 4:
                    break
            except LedgerError:
                continue
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert "--resume" in err
    partial = json.loads(out)
    assert partial["interrupted"]
    resumed = run_steady(tmp_path, "--resume")
    out, err = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, err
    assert "Going on with run" in err
    document = json.loads(out)
    assert document["alpha"] == 1e-5  # the options are those of the interrupted run
    (tmp_path / "whole").mkdir()
    assert comparable(document) == finished(run_steady(tmp_path / "whole", "--alpha", "1e-5"))
    again = run_steady(tmp_path, "--resume")
    _, err = again.communicate(timeout=60)
    # The run that was interrupted stays so; resuming it once more is allowed and costs nothing.
    assert again.returncode == 0, err


def test_nothing_to_resume_is_said(command, tmp_path):
    done = command("check", STEADY.value, "--resume", cwd=tmp_path, env={"THEORYLAB_LEDGER": "l.sqlite"})
    assert done.returncode == 2
    assert "No run of steady was interrupted" in done.stderr
    done = command("check", STEADY.value, "--resume", cwd=tmp_path)
    assert done.returncode == 2
    assert "--resume needs a ledger" in done.stderr


def test_two_runs_share_a_ledger(tmp_path):
    pair = [run_steady(tmp_path, seeds=60), run_steady(tmp_path, seeds=60)]
    reports = [finished(process) for process in pair]
    assert reports[0] == reports[1]
    store = Ledger.open_to_read(tmp_path / "l.sqlite")
    assert store.counts() == (2, 120)
    assert not store.bad_rows()


def test_flipped_bytes_are_noticed_and_computed_anew(tmp_path, command):
    path = tmp_path / "l.sqlite"
    store = Ledger.open(path)
    whole = check(Request(STEADY, seeds=8), "test", ledger=store)
    store.finish(whole.run_id, "finished", {"summary": {}})
    with sqlite3.connect(path) as raw:
        (payload,) = raw.execute("SELECT payload FROM trials WHERE seed = 3").fetchone()
        damaged = payload[:-6] + bytes([payload[-6] ^ 1]) + payload[-5:]
        raw.execute("UPDATE trials SET payload = ? WHERE seed = 3", (damaged,))
    assert [row.table for row in store.bad_rows()] == ["trials", "trials"]
    said = command("doctor", cwd=tmp_path, env={"THEORYLAB_LEDGER": str(path)})
    assert "2 damaged rows" in said.stdout
    again = check(Request(STEADY, seeds=8), "test", ledger=store)
    assert again.known_trials == 14
    assert essence(again) == essence(whole)
    assert not store.bad_rows()


@pytest.mark.parametrize("damage", ["no database", "cut short", "overwritten in the middle"])
def test_a_damaged_file_is_set_aside(tmp_path, command, damage):
    path = tmp_path / "l.sqlite"
    store = Ledger.open(path)
    check(Request(STEADY, seeds=30), "test", ledger=store)
    store.close()
    data = bytearray(path.read_bytes())
    if damage == "no database":
        data = bytearray(b"once upon a time" * 100)
    elif damage == "cut short":
        data = data[: len(data) // 2]
    else:
        data[4096 : len(data) - 4096] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)
    done = command("check", STEADY.value, "--seeds", 30, "--format", "json", cwd=tmp_path, env={"THEORYLAB_LEDGER": str(path)})
    assert done.returncode == 0, done.stderr
    whole = command("check", STEADY.value, "--seeds", 30, "--format", "json")
    assert comparable(json.loads(done.stdout)) == comparable(json.loads(whole.stdout))
    if damage == "no database":
        assert "was damaged" in done.stderr
        assert (tmp_path / "l.sqlite.damaged-1").read_bytes() == bytes(data)


def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path):
    store = Ledger.open(tmp_path / "l.sqlite")
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 6}")  # what SQLite does on a full disk, without filling one
    with pytest.raises(
        LedgerError, match=r"disk is full.* runs are kept\. Make room, then: theorylab check .*--resume"
    ) as caught:
        check(Request(STEADY, seeds=400, chunk=4), "test", ledger=store)
    assert caught.value.exit_status == 3
    kept = store.counts()[1]
    assert kept > 0
    store._db.execute("PRAGMA max_page_count = 1000000")
    again = check(Request(STEADY, seeds=400, chunk=4), "test", ledger=store)
    assert again.known_trials == kept
    assert essence(again) == essence(check(Request(STEADY, seeds=400), "test"))


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path, command):
    (tmp_path / "file").write_text("in the way")
    done = command(
        "check", STEADY.value, "--seeds", 5, cwd=tmp_path, env={"THEORYLAB_LEDGER": str(tmp_path / "file" / "l.sqlite")}
    )
    assert done.returncode == 0, done.stderr
    assert "nothing is kept of this run" in done.stderr


def test_a_read_only_file_costs_a_warning(tmp_path, monkeypatch):
    Ledger.open(tmp_path / "l.sqlite").close()

    def read_only(path):
        raise sqlite3.OperationalError("attempt to write a readonly database")  # as root, permissions do not stop us

    monkeypatch.setattr(ledgers, "_connect", read_only)
    store = Ledger.open(tmp_path / "l.sqlite")
    assert "readonly" in store.trouble
    assert check(Request(STEADY, seeds=3), "test", ledger=store).run_id is not None


def test_old_tables_are_migrated_and_newer_ones_left_alone(tmp_path):
    path = tmp_path / "l.sqlite"
    with sqlite3.connect(path) as raw:
        for statement in MIGRATIONS[1]:
            raw.execute(statement)
        result = TrialResult(0, 7, {"c": Observation(entries=1)}, digest="d")
        payload = encode(result)
        raw.execute(
            "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?)",
            ("ctx", "sub", 7, "c", payload, ledgers._row_digest("ctx", "sub", 7, payload)),
        )
        raw.execute("PRAGMA user_version = 1")
    assert Ledger.open_to_read(path).counts() == (0, 1)  # the version before is read as it is
    store = Ledger.open(path)
    assert store.lookup("ctx", "sub", 0, [7], ["c"]) == [result]
    assert store.store("ctx", [("sub", TrialResult(0, 8, {"c": Observation()}))]) == 1
    store.close()
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (VERSION,)
        raw.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer = Ledger.open(path)
    assert "newer theorylab" in newer.trouble
    assert newer.path is None
    assert Ledger.open_to_read(path).counts() == (0, 2)
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {VERSION + 2}")
    with pytest.raises(LedgerError, match=f"tables of version {VERSION + 2}"):
        Ledger.open_to_read(path)


# -- looking back --------------------------------------------------------------------------------------------------------------


def test_runs_are_listed_shown_compared_and_exported(tmp_path, command):
    environment = {"THEORYLAB_LEDGER": str(tmp_path / "l.sqlite")}
    live = command("check", STEADY.value, "--seeds", 40, env=environment)
    command("check", STEADY.value, "--seeds", 10, "--claim", "small-on-average", env=environment)
    listed = json.loads(command("runs", "--format", "json", env=environment).stdout)
    assert [row["status"] for row in listed] == ["finished", "finished"]
    second, first = (row["run"] for row in listed)
    assert first in command("runs", env=environment).stdout
    shown = command("report", first, env=environment)
    assert shown.stdout.splitlines()[1:] == live.stdout.splitlines()
    assert command("report", "last", "--format", "json", env=environment).returncode == 0
    compared = command("diff", first, second, "--format", "json", env=environment)
    found = json.loads(compared.stdout)
    assert {"claim": "below-level", "before": "SUPPORTED", "after": "absent"} in found["verdicts"]
    assert compared.returncode == 1
    assert command("diff", first, first, env=environment).returncode == 0
    exported = command("export", first, env=environment)
    rows = list(csv.DictReader(exported.stdout.splitlines()))
    assert len(rows) == 2 * 40 * 2
    report = check(Request(STEADY, seeds=40), "test")
    assert {row["measures_digest"] for row in rows} == set(report.digests)
    means = [json.loads(row["values"])[0] for row in rows if row["claim"] == "small-on-average" and row["instance"] == "half"]
    assert len(means) == 40
    document = json.loads(command("export", first, "--format", "json", env=environment).stdout)
    assert document["about"]["versions"]["numpy"]
    assert len(document["trials"]) == 160
    assert command("export", first, "-o", tmp_path / "none" / "x.csv", env=environment).returncode == 2


def test_export_to_parquet(tmp_path, command):
    from pyarrow import parquet

    environment = {"THEORYLAB_LEDGER": str(tmp_path / "l.sqlite")}
    command("check", STEADY.value, "--seeds", 4, env=environment)
    done = command("export", "last", "--format", "parquet", "-o", tmp_path / "x.parquet", env=environment)
    assert done.returncode == 0, done.stderr
    assert parquet.read_table(tmp_path / "x.parquet").num_rows == 16


def test_runs_that_are_not_there_are_named(tmp_path, command):
    done = command("runs", cwd=tmp_path, env={"THEORYLAB_LEDGER": "l.sqlite"})
    assert done.returncode == 2
    assert "no ledger here" in done.stderr
    environment = {"THEORYLAB_LEDGER": str(tmp_path / "l.sqlite")}
    command("check", STEADY.value, "--seeds", 2, env=environment)
    done = command("report", "zzz", env=environment)
    assert done.returncode == 2
    assert "No run 'zzz'" in done.stderr


def test_measures_are_kept_on_request(tmp_path, command):
    environment = {"THEORYLAB_LEDGER": str(tmp_path / "l.sqlite")}
    command("check", STEADY.value, "--seeds", 3, env=environment)
    done = command("export", "last", "--measures", env=environment)
    assert done.returncode == 2
    assert "--keep-measures" in done.stderr
    assert command("check", STEADY.value, "--seeds", 3, "--keep-measures", env=environment).returncode == 0
    rows = list(csv.DictReader(command("export", "last", "--measures", env=environment).stdout.splitlines()))
    assert len(rows) == 2 * 3 * 2
    from theorylab.run.streams import trial_stream

    row = next(r for r in rows if (r["instance"], r["seed"], r["measure"]) == ("half", "2", "x"))
    assert float(row["value"]) == trial_stream(0, "steady", row["instance_digest"], 2).random() * 0.5
    with sqlite3.connect(tmp_path / "l.sqlite") as raw:
        raw.execute("UPDATE measures SET payload = zeroblob(40) WHERE seed = 1")
    assert [r.table for r in Ledger.open_to_read(tmp_path / "l.sqlite").bad_rows()] == ["measures", "measures"]
    assert len(command("export", "last", "--measures", env=environment).stdout.splitlines()) == 1 + 2 * 2 * 2
    assert command("check", STEADY.value, "--keep-measures", "--ledger", "off").returncode == 2


# -- plugins that break the contract ----------------------------------------------------------------------------------------------


def plugin_file(tmp_path, body, run="run(one, rng)", options=""):
    path = tmp_path / "wrong.py"
    path.write_text(f"""
import random
from dataclasses import dataclass
import numpy as np
from theorylab import Always, Instance, Plugin

plugin = Plugin("wrong", api=1, title="t", source="s")
state = []

@dataclass(frozen=True, eq=False)
class One(Instance):
    scale: float = 1.0

@plugin.run({options})
def {run}:
    {body}

@plugin.claim("x", holds=Always(), source="s")
def below_two():
    return 2

plugin.reference("one", One())
""")
    return Locator("wrong", str(path), "file")


@pytest.mark.parametrize(
    "body",
    ['return {"x": np.random.default_rng().random()}', 'import secrets; return {"x": secrets.randbelow(10**9) / 1e9}',
     'state.append(1); return {"x": 1 / len(state)}'],
)  # fmt: skip
def test_randomness_from_elsewhere_is_found(tmp_path, body):
    locator = plugin_file(tmp_path, body)
    store = Ledger.open(tmp_path / "l.sqlite")
    with pytest.raises(PluginError, match=r"instance one, seed 0\) was run twice and gave different measures.* `rng`"):
        check(Request(locator, seeds=5), "test", ledger=store)
    assert store.counts()[1] == 0, "what cannot be trusted is not kept"


def test_a_batch_whose_seeds_depend_on_each_other_is_found(tmp_path):
    locator = plugin_file(
        tmp_path, 'return {"x": np.full(len(rngs), sum(r.random() for r in rngs) / len(rngs))}', "run(one, rngs)", "batched=True"
    )
    with pytest.raises(PluginError, match="let no seed of a batch depend on the others"):
        check(Request(locator, seeds=5, chunk=5), "test")


@pytest.mark.parametrize(
    ("body", "run", "options", "message"),
    [
        ('object.__setattr__(one, "scale", 2.0); return {"x": 1.0}', "run(one, rng)", "", "the run changed its instance"),
        ('return {"x": np.zeros(2)}', "run(one, rngs)", "batched=True", r"measure 'x' has shape \(2,\).* 5 seeds"),
        ('return {"x": 1.0}', "run(one, rngs)", "batched=True", "one row for each of its 5 seeds"),
        ("return [1.0]", "run(one, rngs)", "batched=True", "run returned a list, not a dictionary of measures"),
        ("return 1.0", "run(one, rng)", "", "run returned a float, not a dictionary of measures"),
        ('np.random.seed(1); return {"x": 1.0}', "run(one, rng)", "", "the run changed the state of `numpy.random`"),
        ('return {"x": np.random.random()}', "run(one, rng)", "", "the run changed the state of `numpy.random`.* `rng`"),
        ('return {"x": random.random()}', "run(one, rng)", "", "the run changed the state of `random`"),
        ('import os; os.chdir("/"); return {"x": 1.0}', "run(one, rng)", "", "the run changed the working directory"),
    ],
)
def test_runs_that_break_the_contract_are_named(tmp_path, monkeypatch, body, run, options, message):
    monkeypatch.chdir(tmp_path)  # one of them leaves it
    report = check(Request(plugin_file(tmp_path, body, run, options), seeds=5, chunk=5), "test")
    (verdict,) = report.verdicts
    assert verdict.status == "ERROR"
    import re

    assert re.search(message, verdict.reason), verdict.reason


@pytest.mark.parametrize("body", ['object.__setattr__(one, "scale", 2.0)', "np.random.seed(1)", 'import os; os.chdir("/")'])
def test_what_one_thread_has_changed_is_no_reference_for_another(tmp_path, monkeypatch, body):
    monkeypatch.chdir(tmp_path)
    np.random.seed(7)  # noqa: NPY002 - not the state that the run leaves behind
    plugin = load(plugin_file(tmp_path, body + '; return {"x": 1.0}'))
    subject, work = Subject("one", "reference", plugin.references["one"]), Work(("below-two",), {}, 0)
    world = shared_state()
    for seed in (0, 1):  # the second begins after the first has done its harm
        (result,) = run_block(plugin, work, subject, Job(0, (seed,)), world)
        assert result.problem is not None
        assert "the run changed" in result.problem


def test_the_guilty_seed_of_a_batch_is_found(tmp_path):
    body = (
        "values = [r.random() for r in rngs]\n    if max(values) > 0.9: raise ValueError('too large')\n    return {'x': values}"
    )
    report = check(Request(plugin_file(tmp_path, body, "run(one, rngs)", "batched=True"), seeds=30, chunk=30), "test")
    from theorylab.run.streams import trial_stream

    digest = report.plan.subjects[0].instance.digest()
    guilty = [s for s in range(30) if trial_stream(0, "wrong", digest, s).random() > 0.9]
    assert f"seed {guilty[0]}: ValueError: too large" in report.verdicts[0].reason
    assert f"({len(guilty)} runs in all)" in report.verdicts[0].reason


def test_a_worker_that_dies_once_costs_a_retry(tmp_path):
    marker = tmp_path / "died"
    body = f"""import os, pathlib
    mark = pathlib.Path({str(marker)!r})
    if not mark.exists():
        mark.write_text("x"); os._exit(9)
    return {{"x": float(rng.random())}}"""
    report = check(Request(plugin_file(tmp_path, body), seeds=1, workers=1), "test")
    assert marker.exists()
    assert report.verdicts[0].status == "SUPPORTED", report.verdicts[0].reason


def test_a_worker_that_eats_memory_is_stopped(tmp_path):
    locator = plugin_file(tmp_path, 'return {"x": float(np.ones(10**10)[0])}')
    report = check(Request(locator, seeds=1, workers=1, memory_mib=4096), "test")
    assert report.verdicts[0].status == "ERROR"
    assert "Unable to allocate" in report.verdicts[0].reason or "MemoryError" in report.verdicts[0].reason


# -- memory ------------------------------------------------------------------------------------------------------------------------


def test_what_was_judged_is_forgotten(tmp_path, monkeypatch):
    """Runs of statistical claims are folded into the states of their tests: what lives does not grow with the seeds."""
    import weakref

    from theorylab.run.judge import SLICE
    from theorylab.run.trials import Watcher

    path = plugin_file(tmp_path, 'return {"x": float(rng.random())}')
    text = Path(path.value).read_text().replace("Always()", "OnAverage(), within=lambda: (0, 1)").replace("Always,", "OnAverage,")
    Path(path.value).write_text(text.replace("return 2", "return 0.5"))
    alive, most = {}, 0
    make = TrialResult.__init__

    def made(self, *args, **options):
        make(self, *args, **options)
        key = id(self)
        alive[key] = weakref.ref(self, lambda _: alive.pop(key, None))

    monkeypatch.setattr(TrialResult, "__init__", made)

    class Counting(Watcher):
        def ran(self, done, total):
            nonlocal most
            most = max(most, len(alive))

    report = check(Request(path, seeds=9000), "test", Counting())
    assert report.verdicts[0].evidence.trials == 9000
    assert most > 0
    # A slice, the one that is being made beside it, and blocks in flight.
    assert most <= 2 * SLICE + 500


def test_a_run_that_cannot_be_read_is_passed_over(tmp_path):
    path = tmp_path / "l.sqlite"
    store = Ledger.open(path)
    first, second = (check(Request(STEADY, seeds=seeds), "test", ledger=store).run_id for seeds in (2, 3))
    assert store.run("last").id == second
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE runs SET about = 'nonsense' WHERE id = ?", (second,))
    assert store.run("last").id == store.run(first).id == store.run(first[:6]).id == first
    with pytest.raises(LedgerError, match=f"No run '{second}'"):
        store.run(second)
