"""Steps of proofs: all verified, all falsified twins refuted, certificates that stand alone, and checkers that cannot be fooled."""

import itertools
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import sympy
from sympy import Rational, exp, log, sqrt, symbols

from theorylab.errors import PluginError, UsageError
from theorylab.proof import Boxes, Cases, Identity, Products, Proofs, Rising, Squares, boxes, exact, identity, squares
from theorylab.proof import run as proving
from theorylab.registry import find, load

STEPS = [(name, step) for name in proving.with_proofs() for step in proving.load_proofs(name).steps]
x, y = symbols("x y", real=True)
t = sympy.Symbol("t", nonnegative=True)


@pytest.mark.parametrize(("plugin", "name"), STEPS)
def test_steps_are_verified_and_their_twins_refuted(plugin, name):
    """FALSE, not merely UNPROVED: the checker must find a point or a case where the twin fails."""
    step = proving.load_proofs(plugin).steps[name]
    right = proving.prove_step(step)
    assert right.status == "VERIFIED", right.detail
    assert right.seconds < 20
    wrong = proving.prove_step(step, step.twin)
    assert wrong.status == "FALSE", wrong.detail


@pytest.mark.parametrize("plugin", sorted({plugin for plugin, _ in STEPS}))
def test_steps_name_claims_of_their_plugin(plugin):
    proofs = proving.load_proofs(plugin)
    proving.check_claims(proofs, load(find(plugin)))
    assert any(step.supports for step in proofs.steps.values())


def test_each_of_the_six_named_plugins_has_steps():
    named = {"gradient-bandit", "nash-md", "distributional-dp", "r2pvi", "horizon-free-rfe", "lsd-bandits"}
    assert named <= set(proving.with_proofs())


def verdict(method, k=1):
    return method.verify(method.find()).status


# -- what each method can and cannot show ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "status"),
    [
        ((x + y) ** 2, x**2 + 2 * x * y + y**2, "VERIFIED"),
        ((x + y) ** 2, x**2 + y**2, "FALSE"),
        (exp(x) * exp(y), exp(x + y), "VERIFIED"),
        (exp(x), 1 + x + x**2 / 2 + x**3 / 6 + x**4 / 24, "FALSE"),
        (sqrt(2) * sqrt(3), sqrt(6) + Rational(1, 10**30), "FALSE"),
        (sympy.sin(x) ** 2 + sympy.cos(x) ** 2, 1 + 0 * x, "VERIFIED"),  # sympy puts it together before anything is evaluated
    ],
)
def test_identities(left, right, status):
    if left.has(sympy.sin):
        assert verdict(Identity(left, right)) in {"VERIFIED", "UNPROVED"}, "a function without intervals is never called false"
    else:
        assert verdict(Identity(left, right)) == status


def test_a_simplifiers_mistake_cannot_pass(monkeypatch):
    monkeypatch.setattr(identity, "is_zero", lambda expression: True)
    assert verdict(Identity(x**2, x**2 + x / 10**9)) == "FALSE"


def test_points_must_be_many_and_whole():
    method = Identity(x * y, y * x)
    data = method.find()
    assert method.verify({"points": data["points"][:3]}).status == "UNPROVED"
    assert method.verify({"points": [{"x": "1/2"}] * 8}).status == "UNPROVED"


@pytest.mark.parametrize(
    ("method", "status"),
    [
        (Products(2 * x * y, x**2 + y**2, [(1, x - y, [])]), "VERIFIED"),
        (Products(2 * x * y, x**2 + y**2, [(1, x + y, [])]), "UNPROVED"),  # the products are others
        (Products(x**2, x**2 + 1, [(2, 1, []), (-1, 1, [])]), "UNPROVED"),  # they add up, but one is negative
        (Products(1, t, [(1, 1, [0])], given=[t - 1], ranges={t: (0, 3)}), "VERIFIED"),
        (Products(1, t, [(1, 1, [0])], given=[t], ranges={t: (0, 3)}), "FALSE"),  # an assumption is missing
        (Products(1 / (1 + t), 1, [(1, 1, [0])], given=[t], times=1 + t), "VERIFIED"),
        (
            Products(1, 1 / (1 - 2 * t), [(2, 1, [0])], given=[t], times=1 - 2 * t, ranges={t: (0, Rational(1, 4))}),
            "UNPROVED",
        ),  # may be negative
    ],
)
def test_products(method, status):
    assert verdict(method) == status


@pytest.mark.parametrize(
    ("method", "status"),
    [
        (Rising(exp(x) - 1 - x, x, 0, exp(x)), "VERIFIED"),
        (Rising(exp(x) - 1 - x, x, 0, exp(x), order=1), "UNPROVED"),  # an odd derivative on both sides
        (Rising(exp(x) - 1 - 2 * x, x, 0, exp(x), ranges={x: (-1, 1)}), "FALSE"),
        (Rising(exp(x) - 1 - x, x, 0, x, ranges={x: (-1, 1)}), "UNPROVED"),  # a derivative whose sign does not show
        (Rising(x**4, x, 0, 12 * x**2), "VERIFIED"),
        (Rising(exp(x) - x, x, 0, exp(x)), "UNPROVED"),  # true, but the value there is not 0
        (Rising(log(1 + t), t, 0, 1 / (1 + t), order=1, upwards=True, ranges={t: (0, 5)}), "VERIFIED"),
        (Rising(x - x**2, x, 0, sympy.Integer(2), between=1, ranges={x: (0, 1)}), "VERIFIED"),
    ],
)
def test_derivatives(method, status):
    assert verdict(method) == status


@pytest.mark.parametrize(
    ("method", "status"),
    [
        (Boxes(exp(x) - 1 - x, {x: (-1, 1)}, zeros=[(sympy.Integer(0), 2)]), "VERIFIED"),
        (Boxes(exp(x) - 1 - x, {x: (-1, 1)}), "UNPROVED"),  # 0 at an inner point: no interval shows that sign
        (Boxes(exp(x) - 1 - x - x**2 / 1000, {x: (-1, 1)}, zeros=[(sympy.Integer(0), 3)]), "UNPROVED"),  # no such zero
        (Boxes(Rational(9, 10) - x * y, {x: (0, 1), y: (0, 1)}), "FALSE"),
        (Boxes(Rational(11, 10) - x * y, {x: (0, 1), y: (0, 1)}), "VERIFIED"),
        (Boxes(Rational(1001, 1000) - x * (2 - x) * y, {x: (0, 1), y: (0, 1)}), "VERIFIED"),
        (Boxes(x, {x: (0, 1)}), "VERIFIED"),
        (Boxes(x - Rational(1, 10**30), {x: (0, 1)}), "FALSE"),
    ],
)
def test_boxes(method, status, monkeypatch):
    monkeypatch.setattr(boxes, "MOST_PIECES", 200)
    assert verdict(method) == status


def test_pieces_must_fill_the_box():
    method = Boxes(1 + x**2, {x: (0, 1)})
    for pieces in (
        [[["0", "1/2"]]],
        [[["0", "2/3"]], [["1/3", "1"]]],
        [[["0", "1/2"]], [["0", "1/2"]]],
        [[["-1", "0"]], [["0", "1"]]],
        [[["1", "0"]]],
    ):
        assert method.verify({"pieces": pieces}).status == "UNPROVED"
    assert method.verify({"pieces": [[["1/3", "1"]], [["0", "1/3"]]]}).status == "VERIFIED"
    square = Boxes(1 + x * y, {x: (0, 1), y: (0, 1)})
    overlapping = [[["0", "1/2"], ["0", "1"]], [["0", "1/2"], ["0", "1"]]]
    assert square.verify({"pieces": overlapping}).status == "UNPROVED"


def test_sums_of_squares():
    assert verdict(Squares(x**4 + y**4 - x**2 * y**2 + 1, [x, y])) == "VERIFIED"
    assert verdict(Squares(x**2 - y**2, [x, y])) == "FALSE"
    simplex = [x, y, 1 - x - y]
    assert verdict(Squares(Rational(26, 100) - x * y, [x, y], given=simplex, degree=3)) == "VERIFIED", "x y is at most 1/4 there"
    assert verdict(Squares(Rational(24, 100) - x * y, [x, y], given=simplex, ranges={x: (0, 1), y: (0, 1)})) == "FALSE"


def test_what_is_no_sum_of_squares_is_not_called_one():
    """Motzkin's polynomial is never negative and no sum of squares: the solver's word does not count."""
    motzkin = x**4 * y**2 + x**2 * y**4 - 3 * x**2 * y**2 + 1
    assert verdict(Squares(motzkin, [x, y])) == "UNPROVED"


def test_forged_matrices_are_refused():
    method = Squares(x**2 + 1, [x])
    data = method.find()
    assert method.verify(data).status == "VERIFIED"
    forged = json.loads(json.dumps(data))
    forged["matrices"][0][0][0] = str(Fraction(forged["matrices"][0][0][0]) + Fraction(1, 10**12))
    assert method.verify(forged).status == "UNPROVED", "the squares no longer add up"
    indefinite = Squares(x**2 - 1, [x], ranges={x: (2, 3)})  # false outside of where it is tried
    assert indefinite.verify({"matrices": [[["-1", "0"], ["0", "1"]]]}).status == "UNPROVED"
    assert method.verify({"matrices": [[["1", "1"], ["0", "1"]]]}).status == "UNPROVED", "not symmetric"


@pytest.mark.parametrize("seed", range(40))
def test_exact_definiteness_against_eigenvalues(seed):
    rng = np.random.default_rng(seed)
    n, rank = int(rng.integers(1, 5)), int(rng.integers(0, 5))
    rows = rng.integers(-3, 4, (rank, n))
    matrix = rows.T @ rows - (rng.random() < 0.4) * np.diag(rng.integers(0, 2, n))
    as_fractions = [[Fraction(int(v), 3) for v in row] for row in matrix]
    least = np.linalg.eigvalsh(matrix.astype(float)).min()
    assert squares.is_positive_semidefinite(as_fractions) == (least > -1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_linear_systems_in_fractions(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    matrix = rng.integers(-2, 3, (n, n))
    right = matrix @ rng.integers(-3, 4, n)
    rows = [[Fraction(int(v)) for v in row] for row in matrix]
    found = squares._solved(rows, [Fraction(int(v)) for v in right])
    assert found is not None
    assert [sum((a * b for a, b in zip(row, found, strict=True)), Fraction(0)) for row in rows] == [int(v) for v in right]
    assert squares._solved([[Fraction(0)]], [Fraction(1)]) is None


def test_cases_are_counted_and_none_is_nothing():
    assert Cases("squares", lambda data: ((n, n * n >= 0) for n in range(7))).verify({"data": None}).detail == "7 cases"
    assert Cases("none", lambda data: ()).verify({"data": None}).status == "UNPROVED"
    assert Cases("one fails", lambda data: ((n, n != 3) for n in range(7))).verify({"data": None}).detail == "it fails for 3"


@pytest.mark.parametrize("seed", range(20))
def test_intervals_hold_the_value(seed):
    """Against mpmath at 80 digits."""
    import mpmath

    rng = np.random.default_rng(seed)
    a, b = Fraction(int(rng.integers(1, 99)), 100), Fraction(int(rng.integers(1, 99)), 100)
    f = exp(x) * log(1 + y**2) / (2 + x) ** 3 - sqrt(1 + x * y) + sympy.pi * sympy.E * x**y
    with mpmath.workdps(80):
        value = sympy.lambdify([x, y], f, "mpmath")(
            mpmath.mpf(a.numerator) / a.denominator, mpmath.mpf(b.numerator) / b.denominator
        )
        box = exact.enclosure(f, {x: a, y: b})
        assert box.a <= value <= box.b
        assert box.b - box.a < mpmath.mpf(10) ** -50


# -- certificates ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("nash-md", "lsd-bandits"):
        proofs = proving.load_proofs(name)
        proving.save_certificates(proofs, [proving.prove_step(step) for step in proofs.steps.values()], folder)
    return folder


@pytest.mark.parametrize("name", ["nash-md", "lsd-bandits"])
def test_certificates_are_verified_without_a_solver(name, kept, monkeypatch):
    """Neither cvxpy nor any search is at hand then."""
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    for method in (Identity, Products, Rising, Boxes, Squares, Cases):
        monkeypatch.setattr(method, "find", lambda self: pytest.fail("verification must not search"))
    certificates = proving.read_certificates(kept / f"{name}.json")
    for step in proving.load_proofs(name).steps.values():
        assert proving.verify_step(step, certificates[step.name]).status == "VERIFIED", step.name


def test_certificates_hold_exact_fractions_only(kept):
    def leaves(value):
        if isinstance(value, dict):
            return itertools.chain.from_iterable(map(leaves, value.values()))
        return itertools.chain.from_iterable(map(leaves, value)) if isinstance(value, list) else [value]

    data = json.loads((kept / "nash-md.json").read_text())
    assert not [leaf for leaf in leaves(data) if isinstance(leaf, float)]


def test_a_certificate_belongs_to_one_statement(kept):
    certificates = proving.read_certificates(kept / "nash-md.json")
    steps = proving.load_proofs("nash-md").steps
    with pytest.raises(UsageError, match="made for another statement"):
        proving.verify_step(steps["three-points"], certificates["bennett-on-an-interval"])
    with pytest.raises(UsageError, match="the step needs more"):
        proving.verify_step(steps["three-points"], [])


def test_damaged_certificates_prove_nothing(kept):
    certificates = proving.read_certificates(kept / "nash-md.json")
    step = proving.load_proofs("nash-md").steps["bennett-on-an-interval"]
    for broken in ({}, {"pieces": "all of them"}, {"pieces": [[["0", "one"]]]}, {"pieces": [[[0.0, 1.0]]]}, {"pieces": None}):
        damaged = [{**certificates[step.name][0], "certificate": broken}]
        assert proving.verify_step(step, damaged).status == "UNPROVED"


def test_bad_files_are_named(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        proving.read_certificates(tmp_path / "nash-md.json")
    for text in ("{", "[]", '{"format": 1}', '{"format": 9, "steps": {}}'):
        (tmp_path / "nash-md.json").write_text(text)
        with pytest.raises(UsageError, match=r"nash-md\.json"):
            proving.read_certificates(tmp_path / "nash-md.json")


# -- collections ------------------------------------------------------------------------------------------------------------------------------


def test_collections_name_their_faults():
    proofs = Proofs("nash-md")

    @proofs.step(twin=2, supports=["no_such_claim"])
    def sum_of_two(k):
        """1 + 1 = 2 k."""
        return Identity(sympy.Integer(2), sympy.Integer(2) * k)

    with pytest.raises(PluginError, match="names no claim of the plugin: 'no-such-claim'"):
        proving.check_claims(proofs, load(find("nash-md")))
    with pytest.raises(PluginError, match="two proof steps are called 'sum-of-two'"):
        proofs.step(twin=2)(sum_of_two)
    with pytest.raises(PluginError, match="say in a docstring"):
        proofs.step(twin=2)(lambda k: Identity(1, k))
    assert proving.prove_step(proofs.steps["sum-of-two"]).status == "VERIFIED"
    with pytest.raises(UsageError, match="'pav' has no proof steps"):
        proving.load_proofs("pav")


def test_what_was_verified_is_remembered_until_it_changes(tmp_path, monkeypatch):
    proofs = proving.load_proofs("lsd-bandits")
    results = [proving.prove_step(step) for step in proofs.steps.values()]
    assert proving.counted(proving.listed("lsd-bandits", tmp_path))["planner-earns-its-share"] == (0, 3)
    proving.remember(proofs, results, tmp_path)
    assert proving.counted(proving.listed("lsd-bandits", tmp_path))["planner-earns-its-share"] == (3, 3)
    monkeypatch.setattr(proving, "sources_digest", lambda proofs: "other")
    assert proving.counted(proving.listed("lsd-bandits", tmp_path))["planner-earns-its-share"] == (0, 3)
    assert proving.listed("pav", tmp_path) == []


# -- the command --------------------------------------------------------------------------------------------------------------------------------


def command(*words, cwd: Path):
    return subprocess.run([sys.executable, "-m", "theorylab", *words], capture_output=True, text=True, cwd=cwd, timeout=300)


def test_prove_and_verify_and_check(tmp_path):
    done = command("prove", "lsd-bandits", "--certificates", "kept", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 steps: 6 VERIFIED." in done.stdout
    done = command("prove", "lsd-bandits", "--verify", "kept", "--format", "json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert {step["status"] for step in document["plugins"][0]["steps"]} == {"VERIFIED"}
    shown = command("check", "lsd-bandits", "--seeds", "2", "--instance", "two-arms", cwd=tmp_path).stdout
    assert any(
        line.split()[0] == "planner-earns-its-share" and line.split()[-1] == "3/3" for line in shown.splitlines() if line.strip()
    )
    report = json.loads(
        command("check", "lsd-bandits", "--seeds", "2", "--instance", "two-arms", "--format", "json", cwd=tmp_path).stdout
    )
    steps = {claim["name"]: claim["proof_steps"] for claim in report["plugins"][0]["claims"]}
    assert steps["planner-earns-its-share"] == {"verified": 3, "of": 3}
    assert steps["relaxation-is-sparse"] is None
    data = json.loads((tmp_path / "kept" / "lsd-bandits.json").read_text())
    data["steps"]["no-policy-earns-more"]["certificates"][0]["certificate"]["data"]["potential"][0] = "100"
    (tmp_path / "kept" / "lsd-bandits.json").write_text(json.dumps(data))
    done = command("prove", "lsd-bandits", "--verify", "kept", cwd=tmp_path)
    assert done.returncode == 1
    assert "FALSE no-policy-earns-more" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Name plugins, or say --all."),
        (("pav",), "'pav' has no proof steps. Plugins that have: categorical-dp"),
        (("nash-md", "--step", "no-such"), "nash-md has no proof step 'no-such'"),
        (("nash-md", "--verify", "nowhere"), "nash-md.json: no such file"),
        (("nash-md", "--verify", "a", "--certificates", "b"), "choose one"),
    ],
)
def test_wrong_usage_is_named(words, message, tmp_path):
    done = command("prove", *words, cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert message in done.stderr
