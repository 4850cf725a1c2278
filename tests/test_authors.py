"""For authors: new plugins, plugins that are not installed, claims as pytest items, one-line bounds and rates, output for CI."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings

import theorylab.strategies
import theorylab.testing as tl
from theorylab.config import read_config
from theorylab.errors import UsageError
from theorylab.problems.mdp import MDP
from theorylab.problems.record import Instance, load_instance, save_instance
from theorylab.registry import find, load
from theorylab.report.github import commands, summary_table
from theorylab.report.junit import junit_xml
from theorylab.solvers.dynamic_programming import solve


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, cwd=cwd, timeout=300, env={**os.environ, **environment}
    )  # fmt: skip


def flat(text: str) -> str:
    return " ".join(text.split())


# -- new plugins ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", ["bandit", "game", "mdp"])
def test_new_plugins_pass_at_once(problem, tmp_path):
    made = run("theorylab", "new", "my-idea", "--problem", problem, cwd=tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    assert len((tmp_path / "my_idea.py").read_text().splitlines()) <= 45
    checked = run("theorylab", "check", "./my_idea.py", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "my-idea: 1 SUPPORTED; everything as expected" in flat(checked.stdout)
    audited = run("theorylab", "audit", "./my_idea.py", cwd=tmp_path)
    assert audited.returncode == 0, audited.stdout
    assert "1 of 1 mutants refuted" in flat(audited.stdout)
    again = run("theorylab", "new", "my-idea", cwd=tmp_path)
    assert again.returncode == 2
    assert "my_idea.py is there already" in again.stderr


def test_a_wrong_constant_is_refuted(tmp_path):
    """What the tutorial promises: change the constant, and there is a counterexample."""
    run("theorylab", "new", "my-idea", cwd=tmp_path)
    code = (tmp_path / "my_idea.py").read_text()
    assert "sqrt(2 * log" in code
    (tmp_path / "my_idea.py").write_text(code.replace("sqrt(2 * log", "sqrt(0.2 * log"))
    checked = run("theorylab", "check", "./my_idea.py", cwd=tmp_path)
    assert checked.returncode == 1
    assert "REFUTED estimates-are-accurate" in flat(checked.stdout)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My_Idea", "use lower-case letters, digits and hyphens"),
        ("2fast", "beginning with a letter"),
        ("nash-md", "installed already"),
    ],
)
def test_bad_names_are_named(name, message, tmp_path):
    done = run("theorylab", "new", name, cwd=tmp_path)
    assert (done.returncode, message in done.stderr) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_package_is_whole(tmp_path):
    """Its plugin is found under its name once it can be imported, its tests pass, and so do its claims under pytest."""
    assert run("theorylab", "new", "my-idea", "--package", cwd=tmp_path).returncode == 0
    root = tmp_path / "my-idea"
    names = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    assert names == {
        "pyproject.toml",
        "README.md",
        "src/my_idea/__init__.py",
        "tests/test_claims.py",
        ".github/workflows/theorylab.yml",
    }
    # an installed distribution, without pip: its metadata beside its module
    place = tmp_path / "site"
    shutil.copytree(root / "src" / "my_idea", place / "my_idea")
    metadata = place / "theorylab_my_idea-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theorylab-my-idea\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[theorylab.plugins]\nmy-idea = my_idea:plugin\n")
    done = run("pytest", "-v", "-p", "no:cacheprovider", cwd=root, PYTHONPATH=str(place))
    assert done.returncode == 0, done.stdout
    for item in (
        "test_contract[mutant-one-pull-in-five-is-lost]",
        "test_contract[instances-round-trip]",
        "my-idea::estimates-are-accurate[two-arms]",
    ):
        assert f"{item} PASSED" in done.stdout


@pytest.mark.full
def test_a_package_installs(tmp_path):
    run("theorylab", "new", "my-idea", "--package", cwd=tmp_path)
    target = tmp_path / "site"
    done = run("pip", "install", "-q", "--no-deps", "--target", str(target), str(tmp_path / "my-idea"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    listed = run("theorylab", "list", cwd=tmp_path, PYTHONPATH=str(target))
    assert "my-idea" in listed.stdout


# -- plugins that are not installed --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """A project with two plugins in a folder."""
    (tmp_path / "ideas").mkdir()
    for name, problem in (("first-idea", "bandit"), ("second-idea", "game")):
        run("theorylab", "new", name, "--problem", problem, cwd=tmp_path / "ideas")
    return tmp_path


def test_plugins_of_a_project_are_found_by_name(project):
    lost = run("theorylab", "check", "first-idea", cwd=project)
    assert (lost.returncode, "No plugin 'first-idea'" in lost.stderr) == (2, True)
    found = run("theorylab", "check", "first-idea", "--plugins", "ideas", "--seeds", "20", "--workers", "1", cwd=project)
    assert found.returncode == 0, found.stderr
    (project / "pyproject.toml").write_text('[tool.theorylab]\nplugins = ["ideas/first_idea.py"]\n')
    (project / "deeper").mkdir()
    assert "first-idea" in run("theorylab", "list", cwd=project / "deeper").stdout
    assert "second-idea" not in run("theorylab", "list", cwd=project).stdout
    shutil.copy(project / "ideas" / "first_idea.py", project / "twin.py")
    twice = run("theorylab", "check", "first-idea", "--plugins", "twin.py", cwd=project)
    assert (twice.returncode, "offered twice" in twice.stderr) == (3, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plugin = []", "unknown key 'plugin'. Did you mean 'plugins'?"),
        ("plugins = 'ideas'", "plugins = 'ideas' must be a list of files or folders"),
        ("seeds = 0", "seeds = 0 must be a whole number of at least 1"),
        ("seeds = [", "cannot be read"),
    ],
)
def test_bad_configuration_is_named(text, message, tmp_path):
    (tmp_path / "pyproject.toml").write_text(f"[tool.theorylab]\n{text}\n")
    with pytest.raises(UsageError) as error:
        read_config(tmp_path)
    assert message in str(error.value)
    assert "pyproject.toml" in str(error.value)


def test_places_that_are_not_there_are_named(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.theorylab]\nplugins = ["nowhere"]\n')
    done = run("theorylab", "list", cwd=tmp_path)
    assert (done.returncode, "nowhere is neither a file nor a folder" in done.stderr) == (2, True)


# -- pytest -------------------------------------------------------------------------------------------------------------------------------------

BROKEN = ("sqrt(2 * log", "sqrt(0.2 * log")


def test_claims_are_test_items(project):
    (project / "pyproject.toml").write_text('[tool.theorylab]\nplugins = ["ideas"]\ncheck = ["first-idea", "second-idea"]\n')
    done = run("pytest", "-v", "-p", "no:cacheprovider", "--junitxml", "out.xml", cwd=project)
    assert done.returncode == 0, done.stdout
    assert "first-idea::estimates-are-accurate[two-arms] PASSED" in done.stdout
    assert "second-idea::average-is-hard-to-exploit[drawn] PASSED" in done.stdout
    assert "false alarms of this job: at most 1e-06" in done.stdout
    cases = ET.parse(project / "out.xml").findall(".//testcase")
    told = {p.get("name"): p.get("value") for p in cases[0].findall(".//property")}
    assert told["verdict"] == "SUPPORTED"
    chosen = run("pytest", "--collect-only", "-q", "-k", "cycle", cwd=project).stdout
    assert "1/4 tests collected (3 deselected)" in chosen
    none = run("pytest", "--collect-only", "-q", "-m", "not theorylab", cwd=project)
    assert "4 deselected" in none.stdout


def test_claims_spread_over_workers(project):
    spread = run(
        "pytest", "--theorylab", "second-idea", "-q", "-n", "2", "--dist", "loadgroup", cwd=project, THEORYLAB_PLUGINS="ideas"
    )
    assert "2 passed" in spread.stdout


def test_failures_carry_their_evidence(project):
    file = project / "ideas" / "first_idea.py"
    file.write_text(file.read_text().replace(*BROKEN))
    done = run(
        "pytest", "--theorylab", "first-idea", "-q", "-x", "-p", "no:cacheprovider", cwd=project, THEORYLAB_PLUGINS="ideas"
    )
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    for said in (
        "REFUTED: ",
        "claimed: With probability 0.9",
        "source: Hoeffding",
        "counterexample: .theorylab/counterexamples/",
        "again: theorylab check",
    ):
        assert said in done.stdout
    assert "Traceback" not in done.stdout


def test_what_is_undecided_is_skipped_unless_strict(project):
    words = ("--theorylab", "first-idea", "--theorylab-seeds", "3", "-rs", "-p", "no:cacheprovider")
    done = run("pytest", *words, cwd=project, THEORYLAB_PLUGINS="ideas")
    assert (done.returncode, "2 skipped" in done.stdout, "INCONCLUSIVE" in done.stdout) == (0, True, True)
    strict = run("pytest", *words, "--theorylab-strict", cwd=project, THEORYLAB_PLUGINS="ideas")
    assert (strict.returncode, "2 failed" in strict.stdout) == (1, True)


def test_unknown_plugins_are_named(tmp_path):
    done = run("pytest", "--theorylab", "nash-mb", cwd=tmp_path)
    assert done.returncode == 4
    assert "No plugin 'nash-mb'. Did you mean 'nash-md'?" in done.stdout + done.stderr


def test_the_plugin_costs_nothing_where_it_is_not_used(tmp_path):
    """Neither numpy nor any other part of theorylab is imported."""
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\n\ndef test_nothing():\n    heavy = {'numpy', 'numba', 'sympy', 'cvxpy', 'theorylab.registry'}\n    assert not heavy & set(sys.modules)\n"
    )
    done = run("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:xdist", cwd=tmp_path)
    assert done.returncode == 0, done.stdout


pav = load(find("pav"))
test_the_contract_of_pav = tl.check_plugin(pav)


@tl.claims(pav, seeds=20)
def test_claims_parametrise_a_test(claim):
    claim.assert_expected()
    assert claim.verdict.claim == claim.name


def test_contracts_that_are_broken_are_named(tmp_path, monkeypatch):
    """Each check must be able to fail."""
    (tmp_path / "sloppy.py").write_text(
        """
from dataclasses import dataclass
import numpy as np
from theorylab import Always, Instance, Plugin

plugin = Plugin("sloppy", api=1, title="t", source="s")
state = [0]


@dataclass(frozen=True, eq=False)
class Coin(Instance):
    heads: float = 0.5

    def __post_init__(self):
        object.__setattr__(self, "heads", self.heads + 1e-9)


plugin.reference("fair", Coin())


@plugin.assumption
def never(coin):
    return False


@plugin.run()
def run(coin, rng):
    state[0] += 1
    object.__setattr__(coin, "heads", 0.25)
    return {"variance": coin.heads + state[0]}


@plugin.claim("spread", holds=Always(), source="")
def nothing():
    return 1


@plugin.mutant(refuted_by="nothing")
def harmless(coin, rng):
    return {"variance": 0.0}
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    import sloppy

    from theorylab.testing.contract import contract_checks

    failed = set()
    for name, check in contract_checks(sloppy.plugin):
        try:
            check()
        except AssertionError:
            failed.add(name)
    assert failed == {
        "runs-leave-instances-alone", "runs-depend-on-the-seed-alone", "claims-are-measured", "claims-are-documented", "assumption-never",
        "instances-round-trip", "mutant-harmless",
    }  # fmt: skip


# -- strategies, bounds, rates --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", theorylab.strategies.__all__)
def test_strategies_make_valid_instances_that_round_trip(name, tmp_path_factory):
    @settings(max_examples=15, deadline=None)
    @given(getattr(theorylab.strategies, name)())
    def check(instance):
        assert isinstance(instance, Instance)
        path = tmp_path_factory.mktemp("instances") / "one.json"
        save_instance(instance, path)
        assert load_instance(type(instance), path) == instance

    check()


def largest_value(mdp: MDP) -> float:
    return float(np.abs(solve(mdp).value).max())


def test_bounds_hold_or_are_refuted_by_small_instances():
    """Values are at most the largest reward over 1 - discount; a per cent less is refuted, by an instance that was shrunk to a single state."""

    def bound(factor):
        return lambda mdp: factor * float(np.abs(mdp.rewards).max()) / (1 - mdp.discount)

    over = theorylab.strategies.mdps()
    tl.assert_bound(largest_value, at_most=bound(1.0), over=over, slack=1e-6)
    with pytest.raises(AssertionError, match=r"is above the bound .* for MDP\(1 states, 1 actions"):
        tl.assert_bound(largest_value, at_most=bound(0.99), over=over)
    tl.assert_bound(lambda mdp: mdp.probabilities, at_least=0.0, over=over)
    with pytest.raises(AssertionError, match="nan is above"):
        tl.assert_bound(lambda mdp: math.nan, at_most=1.0, over=over)
    with pytest.raises(TypeError, match="one of at_most and at_least"):
        tl.assert_bound(largest_value, over=over)


def mean_error(n, rng):
    return min(abs(float(rng.integers(0, 2, int(n)).mean()) - 0.5), 0.5)


def test_rates_hold_or_are_refuted():
    grid = [100, 200, 400, 800]
    tl.assert_rate(mean_error, exponent=0.5, along=grid, within=(0.0, 0.5), seeds=400, doubling=0.3)
    with pytest.raises(AssertionError, match="the rate is refuted"):
        tl.assert_rate(lambda n, rng: 0.4 + 0.01 * rng.random(), exponent=0.5, along=grid, within=(0.0, 0.5), seeds=400)
    with pytest.raises(AssertionError, match="not seen, though not refuted"):
        tl.assert_rate(mean_error, exponent=1.0, along=grid, within=(0.0, 0.5), seeds=40)
    with pytest.raises(TypeError, match="twice the one before"):
        tl.assert_rate(mean_error, exponent=0.5, along=[1, 2, 3], within=(0.0, 0.5))
    with pytest.raises(TypeError, match="leaves"):
        tl.assert_rate(lambda n, rng: 2.0, exponent=0.5, along=grid, within=(0.0, 0.5))


# -- output for CI ----------------------------------------------------------------------------------------------------------------------------------


def claim_row(name, verdict, expected=True, reason="because"):
    example = {"file": "x.json", "again": "theorylab check p"} if not expected else None
    return {
        "name": name, "statement": "s", "source": "paper", "verdict": verdict, "as_expected": expected, "reason": reason, "tightness": 0.5, "bound_value": 1.0,
        "statistic": 0.5, "instances": 3, "vacuous_instances": 0, "trials": 9, "error_probability": None, "counterexample": example,
    }  # fmt: skip


def document(*claims):
    return {"seconds": 1.5, "plugins": [{"name": "p", "title": "a | b", "claims": list(claims)}]}


def test_junit_counts_and_escapes():
    text = junit_xml(
        document(
            claim_row("good", "SUPPORTED"), claim_row("bad", "REFUTED", False, 'x < y & "z" \x07'), claim_row("open", "INCONCLUSIVE"), claim_row("broken", "ERROR", False)
        )
    )  # fmt: skip
    suite = ET.fromstring(text).find("testsuite")
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    failure = suite.find(".//failure")
    assert failure.get("message") == 'REFUTED: x < y & "z" ?'
    assert "counterexample: x.json" in failure.text


def test_github_commands_are_escaped_and_few():
    rows = [claim_row(f"c-{i}", "REFUTED", False, "50%\nof: runs") for i in range(14)]
    lines = commands(
        document(*rows, claim_row("open", "INCONCLUSIVE"), claim_row("empty", "VACUOUS"), claim_row("good", "SUPPORTED"))
    )
    assert lines[0].startswith("::error title=p c-0%3A REFUTED::50%25%0Aof: runs Again:")
    assert [line.split()[0].split("::")[1] for line in lines].count("error") == 10
    assert "5 more" in lines[9]
    assert len(lines) == 12
    table = summary_table(document(claim_row("good", "SUPPORTED", True, "a | b\nc <script>")), "last")
    assert "a \\| b c &lt;script>" in table
    assert table.count("\n| good |") == 1


def test_ci_output_of_the_command(tmp_path):
    done = run(
        "theorylab", "check", "pav", "--seeds", "5", "--format", "github", "--junit", "deep/out.xml", cwd=tmp_path, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md")
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "False alarms of the whole run: at most 1e-06" in done.stdout.splitlines()[-1]
    assert "| claim | verdict |" in (tmp_path / "summary.md").read_text()
    assert len(ET.parse(tmp_path / "deep" / "out.xml").findall(".//testcase")) == len(pav.claims)


def test_a_time_budget_judges_what_was_finished(tmp_path):
    """Every instance is seen before any is seen often, and the report says what was left out."""
    done = run(
        "theorylab", "check", "gradient-bandit", "--seeds", "100000", "--claim", "arms-follow-the-policy", "--claim", "zero-sum", "--time-budget", "2s", "--format", "json",
        cwd=tmp_path,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["unfinished"] > 1000
    zero_sum = next(c for c in report["plugins"][0]["claims"] if c["name"] == "zero-sum")
    assert zero_sum["instances"] >= len(load(find("gradient-bandit")).references)
    assert report["seconds"] < 60
    for bad in ("soon", "-5s", "0"):
        wrong = run("theorylab", "check", "pav", "--time-budget", bad, cwd=tmp_path)
        assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)


def test_slices_of_a_budget_fit_into_what_is_left():
    """A clock that says how long each seed takes: slices double while there is time, and end at the deadline."""
    from types import SimpleNamespace

    from theorylab.run.check import doubling

    now = [0.0]
    lengths = []
    for part in doubling(SimpleNamespace(subjects=[SimpleNamespace(seeds=range(10**6))]), 100.0, lambda: now[0]):
        lengths.append(len(part))
        now[0] += len(part)  # a second each
    assert lengths == [1, 2, 4, 8, 16, 32, 37]
    assert now[0] == 100.0
