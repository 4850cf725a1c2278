"""The real command: exit statuses, stdout and stderr apart, what a user sees and what stays behind."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import jsonschema
import pytest

from theorylab.problems.preference_game import from_reference
from theorylab.problems.record import save_instance

from .conftest import PLUGINS, ROOT

RPS = [[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]]
ARENA = ",alpha,beta,gamma\nalpha,,0.7,0.2\nbeta,0.3,,0.6\ngamma,0.8,0.4,\n"
SCHEMA = json.loads(files("theorylab.report").joinpath("report.schema.json").read_text())


def document(done):
    data = json.loads(done.stdout)
    jsonschema.validate(data, SCHEMA)
    return data


def test_the_main_job_in_json(command, tmp_path):
    done = command("check", "nash-md", "--seeds", "40", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    data = document(done)
    assert data["summary"]["REFUTED"] == 5
    assert data["summary"]["SUPPORTED"] == len(data["plugins"][0]["claims"]) - 5
    assert all(claim["as_expected"] for claim in data["plugins"][0]["claims"])
    exact = data["plugins"][0]["claims"][0]
    assert (exact["name"], exact["mode"], exact["verdict"]) == ("nash-md-step-exact", "equals", "SUPPORTED")
    last = next(c for c in data["plugins"][0]["claims"] if c["name"] == "nash-md-last-iterate")
    assert last["bound"] == r"\frac{8}{\tau^{2} \left(t + 1\right)}"
    assert list(tmp_path.iterdir()) == []  # nothing unexpected, nothing left behind


def test_the_main_job_for_people(command, tmp_path):
    done = command("check", "nash-md", "--seeds", "5", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr.replace("\n", " ").startswith("nash-md: 37 claims on 18 instances (13 named, 5 drawn), 18 runs.")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout + done.stderr
    lines = done.stdout.strip().splitlines()
    assert re.search(r"32 SUPPORTED, 5 REFUTED as expected; everything as expected", " ".join(lines[-2:]))


def test_ascii_terminals_get_ascii(command):
    done = command(
        "check",
        "nash-md",
        "--instance",
        "two-actions",
        "--claim",
        "nash-md-step",
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "nash-md-step" in done.stdout


def test_a_users_table_is_answered(command, tmp_path):
    (tmp_path / "arena.csv").write_text(ARENA)
    done = command("check", "nash-md", "--instance", "arena.csv", "--set", "tau=0.05", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    equilibrium, speed = document(done)["plugins"][0]["answers"]
    assert equilibrium["title"] == "Equilibrium (tau = 0.05)"
    shares = {row[0]: row[1] for row in equilibrium["rows"]}
    assert set(shares) == {"alpha", "beta", "gamma"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert "Exploitability" in equilibrium["remark"]
    free = {row[0]: row[2] for row in equilibrium["rows"]}
    # the minimax winner of a three-cycle: each action's weight is the margin of the pair it is not in
    assert free == pytest.approx({"alpha": 0.1 / 0.6, "beta": 0.3 / 0.6, "gamma": 0.2 / 0.6}, abs=1e-8)
    steps = {row[0]: row[1:] for row in speed["rows"]}
    assert int(steps["0.001"][0]) < int(steps["0.001"][1].replace(",", ""))
    assert steps["0.001"][1] == "3,199,999"  # 8 / (0.05^2 0.001) - 1

    shown = command("check", "nash-md", "--instance", "arena.csv", cwd=tmp_path)
    assert "gamma" in shown.stdout
    assert "Steps until KL(equilibrium, policy) stays below a target" in shown.stdout


@pytest.mark.parametrize("name", ["minneapolis-2021", "language-models"])
def test_shipped_tables_are_checked_by_name(command, name):
    done = command("check", "nash-md", "--instance", name, "--format", "json")
    assert done.returncode == 0
    assert document(done)["plugins"][0]["answers"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check"], "Missing argument 'PLUGIN'"),
        (["chek"], "No such command 'chek'. Did you mean 'check'?"),
        (["check", "nash-mb"], "No plugin 'nash-mb'. Did you mean 'nash-md'?"),
        (
            ["check", "nash-md", "--claim", "nash-md-stepp"],
            "no claim 'nash-md-stepp'. Did you mean 'nash-md-step'?",
        ),
        (["check", "nash-md", "--instance", "nothing.csv"], "nothing.csv: no such file"),
        (
            ["check", "nash-md", "--instance", "minneapolis"],
            "neither a file nor a named instance of nash-md. Did you mean 'minneapolis-2021'",
        ),
        (
            ["check", "nash-md", "--instance", "bad.csv"],
            "bad.csv, line 2: row 'alpha', column 'beta' is 1.7, outside [0, 1]",
        ),
        (["check", "nash-md", "--seeds", "0"], "at least 1 is needed"),
        (["check", "nash-md", "--seeds", "-3"], "at least 1 is needed"),
        (["check", "nash-md", "--seeds", "many"], "neither a whole number nor 'auto'"),
        (["check", "nash-md", "--seed", "-1"], "-1 is not in the range"),
        (["check", "nash-md", "--alpha", "0"], "must lie strictly between 0 and 1"),
        (["check", "nash-md", "--alpha", "nan"], "must lie strictly between 0 and 1"),
        (["check", "nash-md", "--confidence", "1"], "must lie strictly between 0 and 1"),
        (["check", "nash-md", "--set", "steps"], "write NAME=VALUE"),
        (["check", "nash-md", "--set", "steps=abc"], "the value must be a number"),
        (["check", "nash-md", "--set", "stepz=3"], "no such parameter. Parameters: steps, mixing"),
        (["check", "nash-md", "--instance", "dice", "--set", "tua=3"], "Known: steps, mixing, tau"),
        (["check", "nash-md", "--instance", "dice", "--set", "tau=-3"], "tau = -3.0 must be positive"),
        (["check", "nash-md", "--timeout", "3"], "--timeout needs --workers"),
        (["check", "nash-md", "--format", "xml"], "'xml' is not one of"),
        (["check", "./missing.py"], "./missing.py: no such file"),
        (["show", "nash-mb"], "Did you mean 'nash-md'?"),
        (["audit", "nash-mb"], "Did you mean 'nash-md'?"),
    ],
)
def test_a_users_mistake_is_one_message_and_status_2(command, tmp_path, arguments, message):
    (tmp_path / "bad.csv").write_text(ARENA.replace("0.7", "1.7"))
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_claim_fails_with_a_counterexample_that_replays(command, tmp_path):
    (tmp_path / "wrong.py").write_text((PLUGINS / "wrong_constant.py").read_text())
    done = command("check", "wrong.py", "--seeds", "50", cwd=tmp_path)
    assert done.returncode == 1
    assert "REFUTED half-the-variance" in done.stdout
    again = re.search(r"Again: (theorylab .*)", done.stdout).group(1)
    assert "--replay .theorylab/counterexamples/wrong-constant-half-the-variance-" in again
    words = again.split()[1:]
    assert command(*words, cwd=tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [("raise", 3), ("nan", 3), ("inf", 3), ("text", 3), ("far", 1), ("above", 1), ("none", 0)],
)
def test_faults_of_a_plugin_have_their_own_status(command, tmp_path, fault, status):
    (tmp_path / "request.json").write_text(json.dumps({"fault": fault, "at": -1.0}))
    done = command(
        "check",
        PLUGINS / "awkward.py",
        "--instance",
        "request.json",
        "--seeds",
        "3",
        "--format",
        "json",
        cwd=tmp_path,
    )
    assert done.returncode == status, done.stdout
    assert "Traceback" not in done.stderr
    verdict = document(done)["plugins"][0]["claims"][0]
    assert verdict["verdict"] == {0: "SUPPORTED", 1: "REFUTED", 3: "ERROR"}[status]
    if status:  # the instance is saved, and the trial can be run again
        saved = verdict["counterexample"]["file"]
        assert json.loads((tmp_path / saved).read_text())["fault"] == fault
        again = command("check", PLUGINS / "awkward.py", "--replay", f"{saved}:{verdict['counterexample']['seed']}", cwd=tmp_path)
        assert again.returncode == status


def test_strict_turns_inconclusive_into_status_4(command):
    arguments = ["check", PLUGINS / "ucb1.py", "--seeds", "20", "--claim", "best-arm-dominates"]
    assert command(*arguments).returncode == 0
    done = command(*arguments, "--strict")
    assert done.returncode == 4
    assert "runs would decide" in done.stdout.replace("\n", " ")


def test_a_broken_plugin_is_status_3_when_asked_for(command, tmp_path):
    (tmp_path / "broken.py").write_text("raise RuntimeError('no')")
    done = command("check", "./broken.py", cwd=tmp_path)
    assert done.returncode == 3
    assert "cannot be imported: RuntimeError: no at" in done.stderr


def test_a_broken_instance_file_names_the_field(command, tmp_path):
    game = from_reference(RPS, [0.7, 0.2, 0.1], 0.5)
    save_instance(game, tmp_path / "game.json")
    text = (tmp_path / "game.json").read_text().replace('"tau": 0.5', '"tau": "half"')
    (tmp_path / "game.json").write_text(text)
    done = command("check", "nash-md", "--instance", "game.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "game.json: tau is 'half', not a number." in done.stderr


def test_list_show_and_doctor(command):
    listed = command("list")
    assert listed.returncode == 0
    assert re.search(r"^nash-md +Nash-MD", listed.stdout, re.MULTILINE)
    shown = command("show", "nash-md")
    assert shown.returncode == 0
    assert "kl_after <= 8/(tau**2*(t + 1))" in shown.stdout
    assert "source: Theorem 1" in shown.stdout
    assert "starts-from-policy" in shown.stdout
    need = command("show", PLUGINS / "ucb1.py", "--seeds", "30").stdout
    assert "best-arm-dominates: 59 clean runs per instance are needed for support, 30 are planned." in need
    assert r"\frac{8}{\tau^{2} \left(t + 1\right)}" in command("show", "nash-md", "--latex").stdout
    healthy = command("doctor")
    assert healthy.returncode == 0, healthy.stdout
    assert "plugin nash-md" in healthy.stdout
    assert "Everything is in order." in healthy.stdout


def test_audit_of_a_good_and_of_a_toothless_plugin(command, tmp_path):
    good = command("audit", PLUGINS / "ucb1.py", "--seeds", "100", "--format", "json")
    assert good.returncode == 0
    plugin = json.loads(good.stdout)["plugins"][0]
    assert plugin["matrix"]["regret-is-logarithmic"] == {"losses-as-wins": True}
    assert plugin["survivors"] == plugin["toothless"] == plugin["missed"] == []

    text = (PLUGINS / "ucb1.py").read_text().replace("return 8 * np.log(horizon)", "return 1e9 + 0 * np.log(horizon)")
    text = text.replace("return 0.5", "return 0.0")
    (tmp_path / "toothless.py").write_text(text)
    bad = command("audit", "toothless.py", "--seeds", "50", cwd=tmp_path)
    assert bad.returncode == 1
    assert "SURVIVOR losses-as-wins" in bad.stdout
    assert "TOOTHLESS regret-is-logarithmic" in bad.stdout


def test_help_teaches(command):
    top = command("--help")
    assert top.returncode == 0
    for word in ("check", "list", "show", "audit", "doctor", "theorylab check nash-md --seeds 100"):
        assert word in top.stdout
    check = command("check", "--help")
    for option in (
        "--seeds",
        "--instances",
        "--claim",
        "--instance",
        "--alpha",
        "--seed",
        "--workers",
        "--format",
        "--strict",
        "--verbose",
    ):
        assert option in check.stdout
    for verdict in ("SUPPORTED", "CONSISTENT", "REFUTED", "INCONCLUSIVE", "VACUOUS"):
        assert verdict in check.stdout
    assert re.match(r"theorylab, version \d+\.\d+", command("--version").stdout)


def test_verbose_says_what_each_claim_states(command):
    done = command("check", "nash-md", "--instance", "dice", "--claim", "nash-md-step", "-v")
    text = " ".join(done.stdout.split())
    assert "K[t+1] <= (1 - eta tau) K[t] + 2 eta^2" in text
    assert "stated; source: Theorem 1, one step; always" in text


def test_a_pipe_that_closes_early_is_no_error(command):
    import subprocess
    import sys

    done = subprocess.run(
        f"{sys.executable} -m theorylab show nash-md | head -1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.stdout.startswith("nash-md: ")
    assert "Traceback" not in done.stderr


def test_an_audit_of_one_mutant(command):
    done = command("audit", PLUGINS / "ucb1.py", "--mutant", "losses-as-wins", "--seeds", "100")
    assert done.returncode == 0, done.stdout
    done = command("audit", PLUGINS / "ucb1.py", "--mutant", "nobody")
    assert done.returncode == 2
    assert "no mutant 'nobody'" in done.stderr


def test_one_fault_is_said_once(command, tmp_path):
    """An instance that every run refuses is one fault, not one for each claim."""
    claims = "".join(f'@plugin.claim("x", holds=Always(), source="s")\ndef bound_{k}():\n    return 1\n' for k in range(30))
    (tmp_path / "strict.py").write_text(f"""
from dataclasses import dataclass
from theorylab import Always, Instance, Plugin
plugin = Plugin("strict", api=1, title="t", source="s")
@dataclass(frozen=True, eq=False)
class One(Instance):
    scale: float = 1.0
@plugin.run()
def run(one, rng):
    raise ValueError("scale = 1 is too little")
plugin.reference("one", One())
{claims}""")
    done = command("check", tmp_path / "strict.py", "--seeds", "2", cwd=tmp_path)
    assert done.returncode == 3
    said = " ".join(done.stdout.split())
    assert said.count("scale = 1 is too little") == 1
    assert re.search(r"\d+ more\. False alarms", said), "a dozen claims are named, the others counted"
