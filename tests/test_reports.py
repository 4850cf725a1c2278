"""Reports that people look at: pages, pictures, frames. What they show is what the ledger holds; a real browser reads the pages."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import theorylab
from theorylab.claim import AtRate
from theorylab.errors import LedgerError, UsageError
from theorylab.picture import Curve, Panel, Picture, mean_curve, quantile_curve, simplex_map
from theorylab.registry import Locator, load
from theorylab.report import words
from theorylab.report.page import page, statement
from theorylab.report.plots import figure, svg
from theorylab.run.charts import charts
from theorylab.run.ledger import Ledger

from .conftest import PLUGINS

SEEN = PLUGINS / "seen.py"


class Page(HTMLParser):
    """A page as a reader of its source sees it: tables as rows of cells, text by element, every address it would fetch."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.cell, self.addresses, self.ids, self.text, self.scripts = [], None, [], [], [], 0
        self.inside = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.addresses += [attributes[name] for name in ("src", "href", "action", "data") if name in attributes]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell = [attributes.get("data-order"), ""]
        elif tag in ("script", "style", "svg"):
            self.inside.append(tag)
            self.scripts += tag == "script"

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self.cell is not None:
            self.tables[-1][-1].append((self.cell[1].strip(), self.cell[0]))
            self.cell = None
        elif self.inside and tag == self.inside[-1]:
            self.inside.pop()

    def handle_data(self, data):
        if self.cell is not None:
            self.cell[1] += data
        if not self.inside:
            self.text.append(data)


@pytest.fixture(scope="module")
def checked(command, tmp_path_factory):
    """A folder in which a plugin was hunted, audited, checked; the page, the JSON of the same run, and the ledger."""
    folder = tmp_path_factory.mktemp("checked")
    env = {"THEORYLAB_LEDGER": str(folder / "ledger.sqlite")}
    shutil.copy(SEEN, folder / "seen.py")
    assert command("hunt", "seen.py", "--budget", 30, cwd=folder, env=env).returncode in (0, 1)
    assert command("audit", "seen.py", cwd=folder, env=env).returncode in (0, 1)
    done = command("check", "seen.py", "--seeds", 60, "--html", "report.html", cwd=folder, env=env)
    assert done.returncode == 1, done.stderr
    assert "The report is in report.html" in done.stderr
    kept = command("report", "last", "--format", "json", cwd=folder, env=env)
    return folder, (folder / "report.html").read_text(encoding="utf-8"), json.loads(kept.stdout)


# -- the page -------------------------------------------------------------------------------------------------------------


def test_every_number_of_the_verdict_table_is_the_ledgers(checked):
    _, text, document = checked
    rows = {row[0][0]: row[1:] for row in Page(text).tables[0][1:]}
    claims = document["plugins"][0]["claims"]
    assert set(rows) == {claim["name"] for claim in claims}
    for claim in claims:
        (verdict, _), (shown, exact), (instances, _), (trials, _) = rows[claim["name"]]
        assert verdict.removesuffix(" as expected") == claim["verdict"]
        assert verdict.endswith("as expected") == (claim["verdict"] == "REFUTED" and claim["as_expected"])
        assert (int(instances), int(trials)) == (claim["instances"], claim["trials"])
        assert (float(exact) if exact else None) == claim["tightness"]
        if claim["tightness"] is not None and claim["relation"] != "==":
            assert float(shown) == pytest.approx(claim["tightness"], rel=5e-3)  # three digits


def test_the_page_says_all_that_the_report_knows(checked):
    _, text, document = checked
    shown = " ".join(" ".join(Page(text).text).split())
    for claim in document["plugins"][0]["claims"]:
        for part in ("statement", "reason", "source"):
            assert " ".join(claim[part].split()) in shown, (claim["name"], part)
        assert words.meaning(claim, document) in shown
        if claim["counterexample"] is not None:
            assert claim["counterexample"]["again"] in shown
    assert document["command"] in shown
    assert "Heads & tails both happen <b>" in shown
    assert words.next_step(document)[1] in shown
    assert f"numpy {document['versions']['numpy']}" in shown


def test_nothing_is_fetched_and_the_page_reads_without_its_script(checked):
    _, text, _ = checked
    parsed = Page(text)
    assert all(address.startswith("#") or address == "data:," for address in parsed.addresses)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {address[1:] for address in parsed.addresses if address.startswith("#")} <= set(
        parsed.ids
    )  # links and shapes lead somewhere
    assert parsed.scripts == 1
    assert not re.search(r"url\((?!#)|@import", text)
    assert "default-src 'none'" in text
    bare = Page(re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))
    assert bare.tables == parsed.tables


def test_letters_of_a_plugin_are_not_taken_for_the_pages_own(checked):
    _, text, _ = checked
    assert "<img" not in text
    assert "<b>" not in text
    assert text.count("<script") == 1
    assert "&lt;script&gt;document.title" in text


def test_every_claim_that_said_something_has_a_plot_and_a_formula(checked):
    _, text, document = checked
    articles = re.findall(r'<article id="claim-(.*?)">(.*?)</article>', text, flags=re.DOTALL)
    assert [name for name, _ in articles] == [claim["name"] for claim in document["plugins"][0]["claims"]]
    for name, body in articles:
        assert "<svg" in body, name
        assert ("<math" in body) == (name != "one-over-n")  # a rate without a constant has no formula
    decay = dict(articles)["decay-is-bounded"]
    assert "the bound says nothing yet" in decay
    assert "<mfrac>" in decay


def test_the_hunt_and_the_kill_matrix_are_in_the_page(checked):
    _, text, document = checked
    tables = Page(text).tables
    hunt = next(table for table in tables if table[0][1][0] == "tightest measured / bound")
    assert {row[0][0] for row in hunt[1:]} <= {claim["name"] for claim in document["plugins"][0]["claims"]}
    assert all(int(row[2][0]) >= 1 for row in hunt[1:])
    matrix = next(table for table in tables if table[0][1][0] == "second-moment")
    rows = {row[0][0]: row[1][0] for row in matrix[1:]}
    assert rows["variance-of-a-toss"] == "x"
    assert rows["mean-is-below-one"] == ""


def test_hunts_and_audits_of_other_sources_are_not_shown(checked, command, tmp_path):
    folder, _, _ = checked
    env = {"THEORYLAB_LEDGER": str(tmp_path / "ledger.sqlite")}
    shutil.copy(folder / "ledger.sqlite", tmp_path / "ledger.sqlite")
    (tmp_path / "seen.py").write_text(SEEN.read_text(encoding="utf-8").replace("0.27 / n", "0.28 / n"), encoding="utf-8")
    command("check", "seen.py", "--seeds", 2, "--html", "page.html", cwd=tmp_path, env=env)
    shown = " ".join(Page((tmp_path / "page.html").read_text(encoding="utf-8")).text)
    assert "No hunt of these sources is kept" in shown
    assert "No audit of these sources is kept" in shown


def test_a_run_that_was_not_drawn_is_drawn_from_its_trials(command, tmp_path):
    env = {"THEORYLAB_LEDGER": str(tmp_path / "ledger.sqlite")}
    shutil.copy(SEEN, tmp_path / "seen.py")
    command("check", "seen.py", "--seeds", 20, cwd=tmp_path, env=env)
    done = command("report", "last", "--html", "sub/page.html", "--plots", "plots", cwd=tmp_path, env=env)
    assert done.returncode == 1, done.stderr
    text = (tmp_path / "sub" / "page.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 9
    assert len(list((tmp_path / "plots" / "claims").glob("*.png"))) == 9
    assert "report" not in json.loads(command("report", "last", "--format", "json", cwd=tmp_path, env=env).stdout)


def test_a_page_that_cannot_be_written_is_said(command, tmp_path):
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    done = command("check", SEEN, "--seeds", 1, "--html", tmp_path / "taken" / "page.html")
    assert done.returncode == 2
    assert "--html" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_the_way_out_is_named(monkeypatch, checked):
    import sys

    _, _, document = checked
    monkeypatch.setitem(sys.modules, "latex2mathml", None)
    with pytest.raises(UsageError, match=r"theorylab\[report\]"):
        page(document, charts={})


def test_names_are_words_and_no_products():
    claim = {
        "measure": "kl_after",
        "relation": "<=",
        "mode": "always",
        "bound": r"\frac{8 kl_{before}}{\tau^{2} \log{\left(n \right)}}",
    }
    text = str(statement(claim))
    assert "<mtext>kl_after</mtext>" in text
    assert "<mtext>before</mtext>" in text
    assert "<mi>k</mi>" not in text
    assert "\\" not in text


# -- pictures -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The same check from Python."""
    folder = tmp_path_factory.mktemp("python")
    return theorylab.check(str(SEEN), seeds=60, ledger=folder / "ledger.sqlite")


def curve(run, claim, label):
    (panel,) = run.charts[claim].panels
    return next(c for c in panel.curves if c.label.startswith(label)), panel


def test_means_and_bounds_that_are_drawn_are_those_of_the_trials(run):
    """Recomputed from the export, by other means."""
    frame = run.trials
    rows = frame[(frame["claim"] == "variance-of-means") & (frame["seed"] < 60)]
    values = {name: np.array(group["values"].to_list()) for name, group in rows.groupby("instance") if len(group) > 1}
    bound = 0.27 / np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    closest = max(values, key=lambda name: (values[name].mean(axis=0) / bound).max())
    drawn, panel = curve(run, "variance-of-means", "square, mean of 60 runs")
    assert closest in run.charts["variance-of-means"].caption
    assert np.allclose(drawn.y, values[closest].mean(axis=0), rtol=1e-12)
    assert all(low <= y <= high for low, y, high in zip(drawn.low, drawn.y, drawn.high, strict=True))
    assert np.allclose(curve(run, "variance-of-means", "bound")[0].y, bound, rtol=1e-12)
    assert panel.log_y
    rate, _ = curve(run, "one-over-n", "square, mean")
    assert rate.x == (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
    guide, _ = curve(run, "one-over-n", "slope -1")
    assert np.allclose(np.diff(np.log(guide.y)) / np.diff(np.log(guide.x)), -1.0)


def test_the_tightest_instance_is_marked_and_the_empty_part_is_shaded(run):
    mark, panel = curve(run, "decay-is-bounded", "tightest")
    assert panel.says_from == 8.0  # 4 / n is below 1, the end of the range, from n = 8 on
    assert mark.y == pytest.approx((1.0 / mark.x[0],))
    assert mark.x[0] >= 8.0
    points, _ = curve(run, "variance-is-small", "variance")
    limits, _ = curve(run, "variance-is-small", "bound")
    ratios = np.array(points.y) / np.array(limits.y)
    assert (np.diff(ratios) <= 1e-12).all()  # closest to the bound first
    best, _ = curve(run, "variance-is-small", "closest")
    assert best.y[0] / limits.y[0] == pytest.approx(ratios.max())
    assert ratios.max() == pytest.approx(1.25)


RANDOM = """
from dataclasses import dataclass
import numpy as np
from theorylab import Always, Instance, Plugin
plugin = Plugin("random", api=1, title="t", source="s")

@dataclass(frozen=True, eq=False)
class Scale(Instance):
    scale: float = 1.0

plugin.reference("one", Scale(1.0))
plugin.reference("half", Scale(0.5))

@plugin.run()
def run(item, rng):
    path = item.scale * rng.random(8)
    return {"path": path, "end": path[-1]}

@plugin.claim("path", holds=Always(), source="s")
def path_is_small():
    return 1.5

@plugin.claim("end", holds=Always(), source="s")
def end_is_small():
    return 1.25

@plugin.mutant(refuted_by="end_is_small")
def doubled(item, rng):
    return {"path": rng.random(8), "end": 2.0 + rng.random()}
"""


def test_of_all_the_seeds_it_is_the_tightest_that_is_drawn(tmp_path):
    """Drawn again here from the same streams; the seeds differ, which the measures of the other tests do not show."""
    (tmp_path / "random_paths.py").write_text(RANDOM)
    run = theorylab.check(str(tmp_path / "random_paths.py"), seeds=20, ledger=tmp_path / "ledger.sqlite")
    from theorylab.registry import find, load
    from theorylab.run.streams import trial_stream

    plugin = load(find(str(tmp_path / "random_paths.py")))
    paths = {
        name: [plugin.algorithm.function(item, trial_stream(0, plugin.name, item.digest(), seed))["path"] for seed in range(20)]
        for name, item in plugin.references.items()
    }
    worst = max((path for group in paths.values() for path in group), key=max)
    drawn, _ = curve(run, "path-is-small", "path")
    assert np.array_equal(drawn.y, worst)
    points, _ = curve(run, "end-is-small", "end")
    assert sorted(points.y) == sorted(max(path[-1] for path in group) for group in paths.values())


def test_quantiles_of_the_runs_are_drawn_where_the_claim_is_about_runs(run):
    frame = run.trials
    drawn, _ = curve(run, "deviations", "error, median")
    label = re.search(r"bound: ([\w-]+)\.", run.charts["deviations"].caption)[1]
    rows = frame[(frame["claim"] == "deviations") & (frame["instance"] == label)]
    values = np.array(rows["values"].to_list())
    shown = np.array(drawn.y)
    real = np.median(values, axis=0)
    assert np.allclose(shown[real > 0], real[real > 0])
    assert drawn.x == (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # places along what the claim says grows


def test_the_charts_of_a_run_and_of_its_reopened_report_agree(run, checked):
    folder, _, _ = checked
    again = theorylab.open_run("last", ledger=folder / "ledger.sqlite")
    assert set(again.charts) == set(run.charts)
    for name, picture in run.charts.items():
        assert again.charts[name] == picture, name


def test_a_figure_shows_the_numbers_of_its_picture(run):
    drawn, _ = curve(run, "variance-of-means", "square, mean")
    (axis,) = run.plot("variance-of-means").axes
    line = next(line for line in axis.lines if line.get_label() == drawn.label)
    assert np.array_equal(line.get_ydata(), drawn.y)
    assert axis.get_yscale() == "log"
    with pytest.raises(UsageError, match=r"There are: .*variance-of-means"):
        run.plot("no-such-claim")


def test_bands_hold_what_they_say():
    rng = np.random.default_rng(5)
    values = rng.random((400, 1))
    band = mean_curve("x", (0.0,), values, 0.0, 1.0)
    assert band.low[0] < 0.5 < band.high[0]
    assert band.high[0] - band.low[0] < 0.2
    spread = quantile_curve("x", (0.0,), values, share=0.8)
    assert np.mean((values[:, 0] >= spread.low[0]) & (values[:, 0] <= spread.high[0])) == pytest.approx(0.8, abs=0.005)


def test_a_policy_has_its_place_in_the_triangle():
    corners = Curve("corners", (0.0, 1.0, 0.0, 1 / 3), (0.0, 0.0, 1.0, 1 / 3))  # the three actions, and all alike
    panel = simplex_map("", ("a", "b", "c"), [corners])
    places = list(zip(panel.curves[1].x, panel.curves[1].y, strict=True))
    middle = np.mean(places[:3], axis=0)
    assert np.allclose(places[3], middle)
    sides = [np.hypot(*np.subtract(places[i], places[j])) for i, j in ((0, 1), (1, 2), (2, 0))]
    assert np.allclose(sides, 1.0)
    assert [text for _, _, text in panel.texts] == ["a", "b", "c"]
    for (x, y, _), place in zip(panel.texts, places, strict=False):
        assert (x, y) == pytest.approx(place)


def test_the_path_of_nash_md_ends_at_the_equilibrium():
    plugin = load(Locator("nash-md", "theorylab_plugins.nash_md:plugin", "theorylab"))
    game = plugin.references["rock-paper-scissors"]
    (picture,) = plugin.figures["paths"].function(game, [], "rps", steps=3000, mixing=0.25)
    curves = {c.label: c for c in picture.panels[0].curves}
    end = (curves["Nash-MD"].x[-1], curves["Nash-MD"].y[-1])
    assert end == pytest.approx((curves["equilibrium"].x[0], curves["equilibrium"].y[0]), abs=1e-3)
    start = (curves["Nash-MD"].x[0], curves["Nash-MD"].y[0])
    assert start == pytest.approx((curves["reference policy"].x[0], curves["reference policy"].y[0]), abs=1e-12)
    assert picture.panels[0].is_map
    (flat,) = plugin.figures["paths"].function(plugin.references["four-dice"], [], "four", steps=20, mixing=0.25)
    assert not any(panel.is_map for panel in flat.panels)  # four actions have no triangle


def test_a_drawing_inside_a_page_keeps_its_letters_and_shares_no_ids():
    panel = Panel("", "x", "<y>", (Curve("a < b", (1.0, 10.0, 1000.0), (0.0012345, 1.0, 2.0)),), log_x=True, log_y=True)
    one, two = svg(Picture("p", "t", (panel,)), "one"), svg(Picture("p", "t", (panel,)), "two")
    assert "a &lt; b" in one
    assert "&lt;y&gt;" in one
    assert ">0.001<" in one.replace(" ", "")
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert "#0072b2" not in one.lower()  # colours come from the page
    assert one == svg(Picture("p", "t", (panel,)), "one")


def test_more_points_than_fit_are_left_out_and_said_so():
    from theorylab.run.records import Observation, Suspect, TrialResult

    rows = [{"name": "c", "mode": "always", "relation": "<=", "measure": "m", "bound_value": None}]

    def trials():
        for i in range(400):
            s = Suspect(0, i / 400, 1.0, 1e-12)
            yield f"i{i}", "", TrialResult(i, 0, {"c": Observation(entries=1, tightness=s.measured, tightest=s)})

    picture = charts(rows, trials)["c"]
    assert len(picture.panels[0].curves[0].x) == 150
    assert "Of 400 instances the first 150" in picture.caption
    assert picture.panels[0].curves[2].label == "closest: i399"
    figure(picture)


# -- Python ---------------------------------------------------------------------------------------------------------------


def test_a_run_in_python_is_the_commands(run, checked):
    _, _, document = checked
    mine, theirs = (d["plugins"][0]["claims"] for d in (run.document, document))
    same = ("name", "verdict", "tightness", "trials", "instances", "reason", "error_probability")
    assert [[c[k] for k in same] for c in mine] == [[c[k] for k in same] for c in theirs]
    assert not run.passed
    assert run.claims.loc["variance-is-small", "verdict"] == "REFUTED"
    assert len(run.trials) > 1000
    shown = repr(run)
    assert "variance-of-means    INCONCLUSIVE" in shown
    assert max(map(len, shown.splitlines()[:12])) <= 80


def test_a_notebook_shows_the_verdicts(run):
    parsed = Page(run._repr_html_())
    rows = {row[0][0]: row[1][0] for row in parsed.tables[0][1:]}
    assert rows["variance-is-tiny"] == "REFUTED as expected"
    assert rows["mean-is-below-one"] == "VACUOUS"
    assert parsed.scripts == 0
    assert not parsed.addresses


def test_python_says_what_is_wrong(tmp_path):
    with pytest.raises(UsageError, match=r"no option 'seed'.*root_seed"):
        theorylab.check(str(SEEN), seed=3)
    with pytest.raises(LedgerError, match="no ledger here"):
        theorylab.open_run(ledger=tmp_path / "none.sqlite")


def test_a_check_that_forgets_its_trials_draws_them_all_the_same():
    one = theorylab.check(str(SEEN), seeds=8, ledger=None, claims=["decay-is-bounded"])
    assert one.passed
    assert set(one.charts) == {"decay-is-bounded"}
    assert "decay-is-bounded" in one.html()


# -- words ----------------------------------------------------------------------------------------------------------------


def claim_of(checked, name):
    _, _, document = checked
    return next(c for c in document["plugins"][0]["claims"] if c["name"] == name), document


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("variance-of-a-toss", r"Both sides agreed, to rounding, in each of 357 comparisons on 62 problems"),
        ("decay-is-bounded", r"closest it came was 25 % of the bound, on fair"),
        ("decay-is-bounded", r"may still break it: at most 7\.4 % .* \(99 % sure\)"),
        ("deviations", r"at most 50 % of the runs may break the bound, and they do not: .* a chance of at most 1 %"),
        ("variance-is-small", r"false: one counterexample is enough"),
        ("variance-is-tiny", r"That was expected"),
        ("mean-is-exact", r"neither that the claim holds nor that it fails: about [\d,]+ seeds would tell"),
        ("mean-is-below-one", r"nothing could break it. This is no support"),
    ],
)
def test_evidence_in_plain_words(checked, name, text):
    assert re.search(text, words.meaning(*claim_of(checked, name)))


def test_what_was_found_and_what_to_do_next(checked):
    _, _, document = checked
    assert words.found(document) == (
        "3 of 9 claims held on every problem they speak of; 1 known to be false fell, as expected; 1 fell that should hold: variance-is-small; "
        "3 could not be decided; 1 says nothing at this scale."
    )
    why, command = words.next_step(document)
    assert why == "Look at the counterexample"
    assert command == claim_of(checked, "variance-is-small")[0]["counterexample"]["again"]
    file = shlex.quote(document["plugins"][0]["target"])

    def left(*names, **changes):
        (plugin,) = document["plugins"]
        return {**document, "plugins": [{**plugin, "claims": [c for c in plugin["claims"] if c["name"] in names]}], **changes}

    why, command = words.next_step(left("mean-is-exact"))
    need = claim_of(checked, "mean-is-exact")[0]["seeds_needed"]
    assert (why, command) == (f"About {need:,} seeds would decide mean-is-exact", f"theorylab check {file} --seeds {need}")
    assert words.next_step(left("decay-is-bounded"))[1] == f"theorylab hunt {file}"
    assert words.next_step(left("decay-is-bounded", interrupted=True))[1] == f"theorylab check {file} --resume"


def test_the_summary_is_on_the_console_and_fits_eighty_columns(checked, command):
    folder, _, document = checked
    done = command("report", "last", "-v", cwd=folder, env={"THEORYLAB_LEDGER": str(folder / "ledger.sqlite")})
    lines = done.stdout.splitlines()
    commands = [line for line in lines if "theorylab check" in line]
    assert max(len(line) for line in lines if line not in commands) <= 80
    assert words.found(document) in " ".join(" ".join(lines).split())
    assert any(line.strip() == words.next_step(document)[1] for line in lines)
    assert "\x1b" not in done.stdout


def test_rates_without_constants_are_called_rates():
    plugin = load(Locator("seen", str(SEEN), "file"))
    assert isinstance(plugin.claims["one-over-n"].mode, AtRate)
    assert plugin.claims["one-over-n"].bound.latex() is None


def test_damaged_findings_are_left_out(tmp_path):
    store = Ledger.open(tmp_path / "ledger.sqlite")
    for number in (1, 2):
        store.keep_finding("p", "hunt", "source", "theorylab hunt p", {"number": number})
    store.keep_finding("p", "hunt", "other", "theorylab hunt p", {"number": 3})
    assert [f.document["number"] for f in store.findings("p", "hunt", "source")] == [2, 1]
    store._db.execute("UPDATE findings SET document = '{\"number\": 9}' WHERE id = 2")
    assert [f.document["number"] for f in store.findings("p", "hunt", "source")] == [1]
    assert [(row.table, row.key) for row in store.bad_rows()] == [("findings", "2")]


# -- a real browser -------------------------------------------------------------------------------------------------------

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)

#: Contrast of every piece of text with what is behind it, as WCAG 2 computes it; those below what AA asks for.
CONTRAST = """() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m.length > 3 ? m[3] : 1]; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > .99) return c; }
    return parse(getComputedStyle(document.documentElement).backgroundColor); };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, e = node.parentElement;
    if (!node.textContent.trim() || ["SCRIPT", "STYLE"].includes(e.tagName)) continue;
    const style = getComputedStyle(e);
    const ink = light(parse(e.closest("svg") ? style.fill : style.color)), paper = light(behind(e));
    const ratio = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
    if (ratio < 4.5) low.push([node.textContent.trim().slice(0, 30), ratio]);
  }
  return low;
}"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=BROWSER, args=quiet)
        yield opened
        opened.close()


@pytest.fixture
def opened(browser, checked):
    """`opened(width, scheme)`: the page in a window; what the browser complained of and asked for is looked at afterwards."""
    folder, _, _ = checked
    complaints, requests, contexts = [], [], []

    def open_page(width=1100, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto((folder / "report.html").as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert all(url.startswith("file:") and url.split("#")[0].endswith("report.html") for url in requests)


def column(tab, number):
    return tab.eval_on_selector_all("#verdicts tbody tr", f"rows => rows.map(row => row.cells[{number}].textContent.trim())")


def test_tables_are_sorted_by_mouse_and_by_keyboard(opened):
    tab = opened()
    before = column(tab, 0)
    tab.click("#verdicts th:nth-child(1) button")
    assert column(tab, 0) == sorted(before)
    assert tab.get_attribute("#verdicts th:nth-child(1)", "aria-sort") == "ascending"
    tab.focus("#verdicts th:nth-child(3) button")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Enter")
    numbers = [float(text) for text in column(tab, 2) if text not in ("", "=")]
    assert numbers == sorted(numbers, reverse=True)
    assert column(tab, 2)[-1] in ("", "=")  # what has no number is last, up and down
    assert tab.get_attribute("#verdicts th:nth-child(1)", "aria-sort") is None
    tab.keyboard.press("Space")
    assert [float(text) for text in column(tab, 2) if text not in ("", "=")] == sorted(numbers)


def test_everything_is_reached_by_the_tab_key(opened):
    tab = opened()
    wanted = tab.eval_on_selector_all("a, button, [tabindex]", "all => all.length")
    seen = set()
    for _ in range(wanted + 5):
        tab.keyboard.press("Tab")
        seen.add(tab.evaluate("() => [...document.querySelectorAll('a, button, [tabindex]')].indexOf(document.activeElement)"))
    assert seen >= set(range(wanted))
    tab.focus("#verdicts th:nth-child(2) button")
    tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Tab")
    assert tab.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_what_is_behind_them(opened, scheme):
    tab = opened(scheme=scheme)
    assert tab.evaluate(CONTRAST) == []
    paper = tab.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 23, 26)"}[scheme]


@pytest.mark.parametrize("width", [320, 390, 1100])
def test_nothing_hangs_over_the_edge_and_plots_are_seen(opened, width):
    tab = opened(width=width)
    assert tab.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    boxes = tab.eval_on_selector_all(
        "svg", "all => all.map(e => { const r = e.getBoundingClientRect(); return [r.width, r.height]; })"
    )
    assert boxes
    assert all(box[0] >= 250 and box[1] >= 150 for box in boxes)
    lines = tab.eval_on_selector_all(
        "article svg",
        "all => all.map(e => [...e.querySelectorAll('path, use')].filter(p => p.getBoundingClientRect().width > 2).length)",
    )
    assert min(lines) > 5  # axes, ticks and what is drawn
    assert tab.evaluate("() => document.querySelector('math').getBoundingClientRect().height") > 15


def test_without_scripts_all_is_there(opened):
    tab = opened(java_script_enabled=False)
    assert tab.locator("#verdicts tbody tr").count() == 9
    assert tab.locator("th button").count() == 0
    assert tab.locator("article svg").count() == 9
    assert tab.title() == "seen: Means of coins <script>document.title = 'taken'</script>"


def test_on_paper_it_is_dark_on_light_and_whole(opened, tmp_path):
    tab = opened(scheme="dark")
    tab.emulate_media(media="print")
    assert tab.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.evaluate("() => getComputedStyle(document.querySelector('nav')).display") == "none"
    assert tab.evaluate(CONTRAST) == []
    tab.pdf(path=tmp_path / "page.pdf")
    assert Path(tmp_path / "page.pdf").stat().st_size > 20_000
