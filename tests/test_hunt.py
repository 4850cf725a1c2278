"""The hunt finds what random sampling does not, shrinks it, confirms it on fresh seeds, and never cries wolf."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from theorylab.claim import OnAverage
from theorylab.errors import UsageError
from theorylab.problems import readable
from theorylab.registry import Locator, load
from theorylab.run.check import check
from theorylab.run.hunt import hunt
from theorylab.run.records import Request

from .conftest import PLUGINS

THIN = Locator("thin", str(PLUGINS / "thin.py"), "file")
NASH_MD = Locator("nash-md", "theorylab_plugins.nash_md:plugin", "theorylab")
BUDGET = 400


def found(claim, locator=THIN, **options):
    result = hunt(Request(locator, claims=(claim,), **options), examples=BUDGET)
    (find,) = result.finds
    return find


@pytest.mark.parametrize("claim", ["gap-is-not-small", "policy-is-interior"])
def test_thin_sets_are_found_by_the_hunt_and_not_by_sampling(claim):
    for seed in range(3):
        sampled = check(Request(THIN, seeds=1, instances=BUDGET, claims=(claim,), root_seed=seed), "test")
        if sampled.verdicts[0].status == "SUPPORTED":
            break
    else:
        pytest.fail("sampling found it three times: the set is not thin")
    find = found(claim)
    assert find.verdict is not None
    assert find.verdict.status == "REFUTED"


def test_the_counterexample_is_small_and_readable():
    find = found("policy-is-interior")
    assert sorted(find.instance.policy) == [0.0, 0.0, 1.0]
    assert find.instance.odd == 0.0
    assert "policy = [" in "\n".join(readable.lines(find.instance))
    gap = found("gap-is-not-small").instance
    assert gap.gap < 2.0**-10
    assert gap.policy.max() == 1.0 or len(set(gap.policy)) <= 2


def test_a_random_violation_is_confirmed_on_fresh_seeds():
    find = found("biased-is-not-too-biased")
    assert find.verdict.status == "REFUTED"
    assert find.verdict.evidence.error_probability == pytest.approx(1e-6 / 3)  # three statistical claims share alpha
    assert find.instance.odd > 200


def test_a_bound_that_is_attained_is_never_refuted_by_the_hunt():
    find = found("coin-is-fair")
    # On 32 search seeds a fair coin may look worth confirming; fresh seeds then say that it is not.
    assert find.verdict is None or find.verdict.status != "REFUTED"


def test_dropping_an_assumption_shows_whether_it_is_needed():
    request = Request(THIN, drop=("gap-is-large",))
    result = hunt(request, examples=BUDGET)
    finds = {f.claim: f for f in result.finds}
    assert set(finds) == {"large-gaps-need-few-samples", "loss-is-at-most-one"}
    assert finds["large-gaps-need-few-samples"].verdict.status == "REFUTED"
    assert finds["loss-is-at-most-one"].verdict is None
    assert found("large-gaps-need-few-samples").verdict is None
    with pytest.raises(UsageError, match=r"no assumption 'sun'\. Assumptions: gap-is-large"):
        hunt(Request(THIN, drop=("sun",)), examples=1)


@pytest.mark.parametrize("claim", ["nash-md-step", "nash-md-step-exact", "nash-md-last-iterate"])
def test_true_theorems_survive_the_hunt(claim):
    find = hunt(Request(NASH_MD, claims=(claim,)), examples=150).finds[0]
    assert find.verdict is None
    if claim != "nash-md-step-exact":
        assert 0.0 < find.tightness < 1.0


def test_a_constant_one_percent_too_small_is_found(monkeypatch):
    """Hoeffding's constant is attained in the limit: 1 % less is false, on few instances."""
    from theorylab.formula import Formula

    plugin = load(NASH_MD)
    claim = plugin.claims["three-point-sharp"]
    wrong = Formula(lambda delta_span_squared: 0.99 * delta_span_squared / 8, "game", "falsified")
    monkeypatch.setitem(plugin.claims, "three-point-sharp", dataclasses.replace(claim, bound=wrong))
    find = hunt(Request(NASH_MD, claims=("three-point-sharp",)), examples=2000).finds[0]
    assert find.verdict is not None
    assert find.verdict.status == "REFUTED"
    assert "interval arithmetic" in find.verdict.reason


def test_the_same_seed_gives_the_same_hunt():
    one, two = (hunt(Request(THIN, claims=("gap-is-not-small",), root_seed=4), examples=100) for _ in range(2))
    assert one.examples == two.examples
    assert one.finds[0].instance == two.finds[0].instance


def test_search_and_check_share_no_random_numbers(monkeypatch):
    import theorylab.run.worker as worker

    seen = {"search": set(), "check": set()}
    original = worker.trial_stream

    def spy(root_seed, plugin, digest, seed):
        rng = original(root_seed, plugin, digest, seed)
        seen[spy.phase].add(float(original(root_seed, plugin, digest, seed).random()))
        return rng

    monkeypatch.setattr(worker, "trial_stream", spy)
    spy.phase = "search"
    monkeypatch.setattr("theorylab.run.hunt.CONFIRM_SEEDS", 0)
    plugin = load(THIN)
    assert isinstance(plugin.claims["coin-is-fair"].mode, OnAverage)
    hunt(Request(THIN, claims=("coin-is-fair",)), examples=30)
    spy.phase = "check"
    check(Request(THIN, seeds=50, instances=30, claims=("coin-is-fair",)), "test")
    assert seen["search"]
    assert seen["check"]
    assert not seen["search"] & seen["check"]


def test_the_search_uses_common_random_numbers(monkeypatch):
    import theorylab.run.worker as worker

    digests = set()
    original = worker.trial_stream

    def spy(root_seed, plugin, digest, seed):
        digests.add(digest)
        return original(root_seed, plugin, digest, seed)

    monkeypatch.setattr(worker, "trial_stream", spy)
    monkeypatch.setattr("theorylab.run.hunt.CONFIRM_SEEDS", 0)
    hunt(Request(THIN, claims=("coin-is-fair",)), examples=20)
    assert digests == {"hunt"}


def test_a_fault_on_a_thin_set_is_an_error_with_its_instance(tmp_path):
    text = (
        (PLUGINS / "thin.py")
        .read_text()
        .replace('"samples_needed": 1.0 / arms.gap,', '"samples_needed": float("nan") if arms.odd == 7.0 else 1.0,')
    )
    (tmp_path / "faulty.py").write_text(text)
    result = hunt(Request(Locator("thin", str(tmp_path / "faulty.py"), "file"), claims=("gap-is-not-small",)), examples=3000)
    problem, instance = result.problems[0]
    assert "is nan" in problem
    assert instance.odd == 7.0


def test_the_command_saves_a_file_that_check_replays(command, tmp_path):
    done = command(
        "hunt", PLUGINS / "thin.py", "--claim", "gap-is-not-small", "--budget", "300", "--format", "json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr  # unconfirmed constants gate nothing
    data = json.loads(done.stdout)
    (row,) = data["claims"]
    assert row["verdict"] == "REFUTED"
    words = row["again"].split()[1:]
    again = command(*words, "--format", "json", cwd=tmp_path)
    claim = json.loads(again.stdout)["plugins"][0]["claims"][0]
    assert claim["verdict"] == "REFUTED"
    assert (tmp_path / ".theorylab" / "hunt" / "examples" / "thin").is_dir()
    shown = command("hunt", PLUGINS / "thin.py", "--claim", "gap-is-not-small", "--budget", "5s", cwd=tmp_path)
    assert "refuted: gap-is-not-small" in shown.stdout
    assert "Again: theorylab check" in shown.stdout


def test_an_interrupted_hunt_reports_what_it_found(tmp_path):
    import signal
    import subprocess
    import sys
    import time

    process = subprocess.Popen(
        [sys.executable, "-m", "theorylab", "hunt", "nash-md", "--claim", "nash-md-step-sharp", "--budget", "100s"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    time.sleep(12.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "interrupted; no counterexample found" in " ".join(out.split())
    assert "Traceback" not in err
    assert (tmp_path / ".theorylab" / "hunt" / "nash-md-nash-md-step-sharp.json").is_file()


def test_a_violation_is_reported_though_the_hunt_is_stopped_before_it_is_confirmed(monkeypatch, tmp_path, capsys):
    from theorylab.cli import run

    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("theorylab.run.hunt._confirmed", stopped)
    monkeypatch.chdir(tmp_path)
    assert run(["hunt", str(PLUGINS / "thin.py"), "--claim", "gap-is-not-small", "--budget", "3s"]) == 130
    said = " ".join(capsys.readouterr().out.split())
    assert "NOT CONFIRMED gap-is-not-small: seen to be violated" in said
    assert "interrupted" in said
    (file,) = (tmp_path / ".theorylab" / "hunt").glob("*-unconfirmed.json")
    assert f"--instance .theorylab/hunt/{file.name}" in said


def test_one_trial_is_replayed_to_the_bit(command):
    digests = set()
    for extra in ([], ["--workers", "1"], ["--workers", "2", "--chunk", "1"]):
        done = command("check", "nash-md", "--replay", "drawn-7:7", "--format", "json", *extra)
        assert done.returncode == 0, done.stderr
        digests.add(tuple(json.loads(done.stdout)["plugins"][0]["digests"]))
    assert len(digests) == 1
    whole = check(Request(NASH_MD, seeds=10, claims=("nash-md-step",)), "test")
    assert whole.digests[-3] == digests.pop()[0]  # drawn-7 of ten
    bad = command("check", "nash-md", "--replay", "drawn-7")
    assert bad.returncode == 2
    assert "write INSTANCE:SEED" in bad.stderr


@pytest.mark.parametrize(
    ("x", "text"), [(0.375, "3/8"), (0.1, "0.1"), (2.0, "2"), (-0.5, "-1/2"), (2.0**-40, repr(2.0**-40)), (np.inf, "inf")]
)
def test_numbers_are_printed_exactly(x, text):
    assert readable.number(x) == text
