"""Formulas, plugins, the registry, plans and streams: contracts and errors."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest
from mpmath import iv

from theorylab import Always, Plugin, WithProbability
from theorylab.errors import PluginError, UnknownPluginError, UsageError
from theorylab.formula import Formula
from theorylab.limits import lies_in
from theorylab.registry import Locator, find, installed, load
from theorylab.run.plan import make_plan
from theorylab.run.records import Request
from theorylab.run.streams import instance_stream, trial_stream

from .conftest import PLUGINS
from .toys import UCB1, Scale, make_plugin

# -- formulas ------------------------------------------------------------------------------------------------------------


def test_a_formula_is_shown_evaluated_and_enclosed():
    formula = Formula(lambda tau, t: 8 / (tau**2 * (t + 1)), "game", "here")
    assert formula.names == ("tau", "t")
    assert formula.latex() == r"\frac{8}{\tau^{2} \left(t + 1\right)}"
    assert np.allclose(formula({"tau": 0.5, "t": np.array([1.0, 3.0])}), [16.0, 8.0])
    before, iv.prec = iv.prec, 200
    try:
        third = Formula(lambda x: x / 3 + 0.1, "game", "here").interval({"x": 1.0})
        # 1/3 exactly, not the float nearest to it
        assert third.delta < 2.0**-190
        assert abs(third - (iv.mpf(1) / 3 + iv.mpf(0.1))).b < 2.0**-190
    finally:
        iv.prec = before


def test_minimum_and_maximum_work_on_intervals():
    import sympy

    formula = Formula(lambda x, y: sympy.Max(x, y) - sympy.Min(x, y, 2), "game", "here")
    value = formula.interval({"x": iv.mpf([1, 3]), "y": iv.mpf([2, 2.5])})
    assert (float(value.a), float(value.b)) == (0.0, 2.0)


def test_a_bound_that_takes_the_instance_is_a_function():
    formula = Formula(lambda game, n: math.sqrt(n) + game.scale, "game", "here")
    assert not formula.is_symbolic
    assert formula.latex() is None
    assert formula({"game": Scale(2.0), "n": 4.0}) == 4.0


def test_an_unreadable_formula_says_what_to_do():
    with pytest.raises(PluginError, match=r"toy, here cannot be read as a formula .* Use sympy's functions"):
        Formula(lambda x: math.log(x), "game", "toy, here").prepare()
    with pytest.raises(PluginError, match=r"instead of \*args"):
        Formula(lambda *x: 1, "game", "toy, here")


def shiny():
    """A bound."""
    return 1


# -- plugins ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda p: p._draft.__dict__.update(run=None), "has no @plugin.run"),
        (lambda p: p._draft.claims.clear(), "makes no claim"),
        (lambda p: p._draft.references.clear(), "has no instances"),
        (lambda p: setattr(p, "api", 7), "written for plugin API 7, this theorylab has 1"),
        (
            lambda p: p.mutant(refuted_by="nothing")(lambda game, rng: {}),
            "names no claim of the plugin: 'nothing'",
        ),
        (
            lambda p: p.claim("x", holds=Always(), source="s", assumes=["sun"])(shiny),
            "assumes 'sun', which is not declared",
        ),
    ],
)
def test_incomplete_plugins_are_named(break_it, message):
    plugin = make_plugin(lambda game, rng, *, n: {"x": 0.0}, Always(), lambda: 1)
    break_it(plugin)
    with pytest.raises(PluginError, match=message):
        _ = plugin.claims


def test_contradictory_declarations_are_refused():
    plugin = make_plugin(lambda game, rng, *, n: {"x": 0.0}, Always(), lambda: 1)
    with pytest.raises(PluginError, match=r"two claims are called '<lambda>'"):
        plugin.claim("x", holds=Always(), source="s")(lambda: 1)
    with pytest.raises(PluginError, match=r"a plugin has one @plugin\.run"):
        plugin.run()(lambda game, rng: {})
    with pytest.raises(PluginError, match="name the claims that refute it"):
        plugin.mutant()(lambda game, rng: {})
    with pytest.raises(PluginError, match="lower-case"):
        Plugin("My Plugin", api=1, title="", source="")
    with pytest.raises(PluginError, match="must lie in"):
        WithProbability(1.0)


def test_names_find_plugins_and_suggest_the_nearest():
    assert find("nash-md").value == "theorylab_plugins.nash_md:plugin"
    with pytest.raises(UnknownPluginError, match=r"No plugin 'nash-mb'. Did you mean 'nash-md'\?"):
        find("nash-mb")
    with pytest.raises(UsageError, match="no such file"):
        find("./nothing.py")


def test_two_distributions_with_one_name_are_both_named(monkeypatch):
    locators = [Locator("nash-md", "a:plugin", "one 1.0"), Locator("nash-md", "b:plugin", "two 2.0")]
    monkeypatch.setattr("theorylab.registry.installed", lambda: locators)
    with pytest.raises(PluginError, match=r"one 1\.0 and two 2\.0"):
        find("nash-md")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nonsense_that_is_not_there", "ModuleNotFoundError"),
        ("1 / 0", r"ZeroDivisionError: division by zero at .*bad\.py:1"),
        ("x = 1", "defines 0 plugins, expected one"),
        ("def f(:", "SyntaxError"),
    ],
)
def test_broken_plugin_files_are_named(tmp_path, text, message):
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(PluginError, match=message):
        load(find(str(tmp_path / "bad.py")))


def test_a_plugin_file_may_import_its_neighbours(command, tmp_path):
    (tmp_path / "my_helper_module.py").write_text("BOUND = 1\n")
    text = (PLUGINS / "wrong_constant.py").read_text().replace("return 0.125", "return my_helper_module.BOUND")
    (tmp_path / "plug.py").write_text("import my_helper_module\n" + text)
    for workers in ("0", "1"):
        done = command("check", tmp_path / "plug.py", "--seeds", "3", "--workers", workers)
        assert done.returncode == 0, done.stderr


def test_installed_plugins_can_be_listed_without_importing_them():
    code = "import sys; from theorylab.registry import installed; print([l.name for l in installed()], 'theorylab_plugins' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "nash-md" in out
    assert out.strip().endswith("False")
    assert installed()


# -- plans ----------------------------------------------------------------------------------------------------------------


def test_seeds_auto_takes_what_the_claims_need():
    plugin = load(UCB1)
    plan = make_plan(Request(UCB1, seeds=None, claims=("best-arm-dominates",)), plugin)
    assert len(plan.subjects[0].seeds) == 100
    wide = make_plan(Request(UCB1, seeds=None), plugin)
    assert len(wide.subjects[0].seeds) == 10_000


def test_settings_are_checked():
    plugin = load(UCB1)
    assert make_plan(Request(UCB1, settings=(("horizon", "50"),)), plugin).parameters["horizon"] == 50
    for text in ("x", "nan", "0.5", "-3"):
        with pytest.raises(UsageError, match=f"--set horizon={text}"):
            make_plan(Request(UCB1, settings=(("horizon", text),)), plugin)
    with pytest.raises(UsageError, match=r"--set horizn: no such parameter\. Parameters: horizon"):
        make_plan(Request(UCB1, settings=(("horizn", "5"),)), plugin)


@pytest.mark.parametrize(
    ("limits", "inside", "outside"),
    [
        ("[0, 1)", (0.0, 0.999), (-1e-9, 1.0, 2.0)),
        ("(0, 1]", (1e-9, 1.0), (0.0, 1.001)),
        ("(0, inf)", (1e300,), (0.0, -1.0, math.inf)),
        ("{16, 32, 64}", (16, 32.0), (8, 33)),
    ],
)
def test_limits_are_read_as_they_are_written(limits, inside, outside):
    assert all(lies_in(value, limits) for value in inside)
    assert not any(lies_in(value, limits) for value in outside)


def test_settings_beyond_their_limits_are_refused_before_anything_is_run():
    plugin = Plugin("toy", api=1, title="t", source="s")
    plugin.run(mixing=0.5, limits={"mixing": "[0, 1)"})(lambda game, rng, *, mixing: {"x": mixing})
    plugin.claim("x", holds=Always(), source="s")(lambda: 1)
    plugin.reference("one", Scale())
    request = Request(Locator("toy", "x", "test"), settings=(("mixing", "0"),))
    assert make_plan(request, plugin).parameters == {"mixing": 0.0}
    for text in ("1", "-0.1"):
        with pytest.raises(UsageError, match=rf"--set mixing={text}: mixing must lie in \[0, 1\)\."):
            make_plan(dataclasses.replace(request, settings=(("mixing", text),)), plugin)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"mixing": "0..1"}, "'0..1' is neither an interval"),
        ({"mixing": "[0, one)"}, "could not convert"),
        ({"mixing": "(0.5, 1)"}, r"no parameter has that name and a default in \(0.5, 1\)"),
        ({"mixture": "[0, 1)"}, "limits of 'mixture': no parameter has that name"),
    ],
)
def test_limits_that_do_not_fit_are_the_plugins_error(limits, message):
    with pytest.raises(PluginError, match=message):
        Plugin("toy", api=1, title="t", source="s").run(mixing=0.5, limits=limits)(lambda game, rng, *, mixing: {})


# -- streams ------------------------------------------------------------------------------------------------------------------------


def test_streams_are_named_and_independent():
    draws = {
        key: tuple(make(*key[1:]).random(2))
        for key, make in {
            ("t", 0, "p", "d", 0): trial_stream, ("t", 0, "p", "d", 1): trial_stream, ("t", 0, "p", "e", 0): trial_stream,
            ("t", 0, "q", "d", 0): trial_stream, ("t", 1, "p", "d", 0): trial_stream, ("i", 0, "p", 0): instance_stream,
        }.items()
    }  # fmt: skip
    assert len(set(draws.values())) == 6
    assert tuple(trial_stream(0, "p", "d", 0).random(2)) == draws["t", 0, "p", "d", 0]


def test_the_seed_sequence_is_the_documented_one():
    sequence = np.random.SeedSequence(20240607, spawn_key=(3, 1, 42))
    assert list(sequence.generate_state(2)) == [4233130371, 2389576456]
