"""What happens to people: odd seeds, odd places, odd interpreters, plugins that fork. One test each; see also test_ledger, test_workers,
test_kernels and test_instances."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from theorylab.registry import Locator
from theorylab.run.check import check
from theorylab.run.records import Request

PLUGINS = Path(__file__).resolve().parent / "plugins"
STEADY, UCB1 = PLUGINS / "steady.py", PLUGINS / "ucb1.py"


def steady(*flags, cwd=None, stdin=subprocess.DEVNULL, environment=None, plugin=STEADY, more=()):
    return subprocess.run(
        [sys.executable, *flags, "-m", "theorylab", "check", str(plugin), "--seeds", "6", "--format", "json", *more],
        capture_output=True, text=True, stdin=stdin, cwd=cwd, timeout=120, encoding="utf-8",
        env={**os.environ, "THEORYLAB_LEDGER": "off", "STEADY_PAUSE_S": "0", **(environment or {})},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "message"), [("-1", "-1 is not in the range"), ("1.5", "'1.5' is not a valid integer"), ("nan", "not a valid")]
)
def test_seeds_that_are_none_are_refused(command, seed, message):
    done = command("check", STEADY, "--seed", seed)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_huge_seed_is_a_seed(command):
    huge = str(2**200)
    first, second = (command("check", STEADY, "--seed", huge, "--seeds", 3, "--format", "json") for _ in range(2))
    assert first.returncode == 0, first.stderr
    one, two = json.loads(first.stdout), json.loads(second.stdout)
    assert str(one["seed"]) == huge
    assert one["plugins"][0]["claims"] == two["plugins"][0]["claims"]


def test_one_seed_decides_nothing_about_means_and_says_what_would():
    report = check(Request(Locator("ucb1", str(UCB1), "file"), seeds=1, settings=(("horizon", "50"),)), "test")
    for verdict in report.verdicts:
        assert verdict.status in ("INCONCLUSIVE", "VACUOUS")
        assert "nan" not in verdict.reason


def test_a_million_seeds_stop_as_soon_as_all_is_decided():
    request = Request(Locator("steady", str(STEADY), "file"), seeds=10**6, claims=("small-on-average",))
    started = time.monotonic()
    report = check(request, "test")
    assert report.verdicts[0].status == "SUPPORTED"
    assert report.verdicts[0].evidence.trials < 1000
    assert time.monotonic() - started < 60


def test_closed_standard_input_does_not_matter():
    done = subprocess.run(
        f"{sys.executable} -m theorylab check {STEADY} --seeds 3 --format json <&-", shell=True, capture_output=True, text=True,
        env={**os.environ, "THEORYLAB_LEDGER": "off"}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_paths_with_blanks_and_other_letters(tmp_path):
    folder = tmp_path / "mein Ordner, späße"
    folder.mkdir()
    own = shutil.copy(STEADY, folder / "steady.py")
    done = steady(cwd=folder, plugin=own, environment={"THEORYLAB_LEDGER": str(folder / "das Buch.sqlite")})
    assert done.returncode == 0, done.stderr
    assert (folder / "das Buch.sqlite").exists()


@pytest.mark.parametrize("flags", [("-O",), ("-OO",), ("-X", "dev"), ("-B",)])
def test_other_ways_to_start_python_give_the_same_verdicts(flags):
    usual, other = steady(), steady(*flags)
    assert other.returncode == 0, other.stderr
    assert [c["verdict"] for c in json.loads(usual.stdout)["plugins"][0]["claims"]] == [
        c["verdict"] for c in json.loads(other.stdout)["plugins"][0]["claims"]
    ]


def test_warnings_as_errors(tmp_path):
    done = steady("-W", "error")
    assert done.returncode == 0, done.stderr


def test_a_clock_that_jumps_changes_nothing(monkeypatch):
    locator = Locator("steady", str(STEADY), "file")
    usual = check(Request(locator, seeds=6), "test")
    jumps = iter(range(10**9, 0, -(10**6)))
    monkeypatch.setattr(time, "time", lambda: float(next(jumps)))
    assert check(Request(locator, seeds=6), "test").verdicts == usual.verdicts


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_plugin_that_forks(tmp_path, workers):
    text = STEADY.read_text().replace(
        "time.sleep(PAUSE_S)", "child = os.fork()\n    if child == 0: os._exit(0)\n    os.waitpid(child, 0)"
    )
    (tmp_path / "steady.py").write_text(text)
    done = steady(plugin=tmp_path / "steady.py", more=("--workers", workers))
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="parents are watched on Linux")
def test_killed_runs_leave_no_orphans(tmp_path, living):
    process = subprocess.Popen(
        [sys.executable, "-m", "theorylab", "check", str(STEADY), "--seeds", "400", "--chunk", "2", "--workers", "2"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "STEADY_PAUSE_S": "0.05"},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(living(process.pid)) < 3 and time.monotonic() < deadline:  # the run and its two workers
        time.sleep(0.1)
    assert len(living(process.pid)) >= 3
    time.sleep(1.0)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 5.0
    while living(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not living(process.pid)


def lying(tmp_path, body, bound):
    path = tmp_path / "lying.py"
    path.write_text(f"""
from dataclasses import dataclass
from theorylab import Always, Instance, Plugin

plugin = Plugin("lying", api=1, title="t", source="s")

@dataclass(frozen=True, eq=False)
class One(Instance):
    scale: float = 1.0

@plugin.run()
def run(one, rng):
    {body}

@plugin.claim("x", holds=Always(), source="s", within=lambda: (0, 1))
def small():
    return {bound}

plugin.reference("one", One())
""")
    return check(Request(Locator("lying", str(path), "file"), seeds=5), "test").verdicts[0]


def test_a_bound_that_allows_everything_is_vacuous(tmp_path):
    assert lying(tmp_path, 'return {"x": float(rng.random())}', "1e300").status == "VACUOUS"


def test_a_measure_outside_its_declared_range_is_an_error(tmp_path):
    verdict = lying(tmp_path, 'return {"x": 1.5 + float(rng.random())}', "0.5")
    assert verdict.status in ("ERROR", "REFUTED")
    assert lying(tmp_path, 'return {"x": -1.0}', "0.5").status == "ERROR"
