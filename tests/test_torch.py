"""The backend `torch`: runs that repeat to the bit, training that resumes to the bit, claims that hold and mutants that fall. Skipped where torch is not installed."""

from __future__ import annotations

import dataclasses
import json
import math
from importlib.metadata import version

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from numpy.testing import assert_allclose  # noqa: E402
from theorylab_plugins.torch_backend import training  # noqa: E402
from theorylab_plugins.torch_backend.ensemble import Ensemble, copy_of  # noqa: E402
from theorylab_plugins.torch_backend.machine import Machine, Seeds  # noqa: E402
from theorylab_plugins.torch_backend.policies import MLP, Recurrent, Tabular, Transformer  # noqa: E402

from theorylab.backend import backends, find_backend  # noqa: E402
from theorylab.errors import UsageError  # noqa: E402
from theorylab.registry import find_with, installed, load  # noqa: E402
from theorylab.run.check import check  # noqa: E402
from theorylab.run.records import Request  # noqa: E402

NEURAL = ("distributional-dp", "gradient-bandit", "horizon-free-rfe", "lsd-bandits", "nash-md", "r2pvi")


def rngs(count):
    return [np.random.default_rng([7, i]) for i in range(count)]


def plugin_of(name):
    return load(find_with(name, "torch", "cpu"))


def seeds_of(count, bits=64, wide=None):
    return Seeds(rngs(count), Machine("cpu", bits), wide)


# -- the backend ----------------------------------------------------------------------------------------------------------


def test_it_is_found_by_its_entry_point_and_knows_its_devices():
    assert "torch" in backends()
    backend = find_backend("torch")
    assert backend.device("auto") in ("cpu", "cuda")
    assert backend.device("cpu") == "cpu"
    assert any(torch.__version__ in line for line in backend.health())
    with pytest.raises(UsageError, match="write auto, cpu, cuda"):
        backend.device("tpu")
    with pytest.raises(UsageError, match="Did you mean 'torch'"):
        find_backend("torhc")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error():
    with pytest.raises(UsageError, match="sees no GPU"):
        find_backend("torch").device("cuda")


def test_plugins_with_and_without_a_room_for_it():
    have = []
    for locator in installed():
        try:
            have.append(find_with(locator.name, "torch", "cpu").target)
        except UsageError as error:
            assert "has nothing for the backend 'torch'" in str(error)  # noqa: PT017 - most plugins have none
    assert have == [f"{name} --backend torch --device cpu" for name in NEURAL]
    with pytest.raises(UsageError, match="needs --backend"):
        find_with("nash-md", None, "cuda")


# -- ensembles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["table", "linear", "mlp", "transformer", "recurrent"])
def test_stacked_networks_are_the_networks_one_by_one(kind):
    """Each seed's network, taken out of the stack and called by itself."""
    make = {
        "table": lambda: Tabular(3, 4), "linear": lambda: MLP(5, 4, ()), "mlp": lambda: MLP(5, 4), "transformer": lambda: Transformer(5, 3, 4),
        "recurrent": lambda: Recurrent(5, 4, 6),
    }[kind]  # fmt: skip
    seeds = seeds_of(3, wide=3)
    ensemble = Ensemble(make(), seeds)
    with torch.no_grad():
        for parameter in ensemble.parameters.values():  # tables begin alike: make them differ
            parameter += seeds.tensor(lambda rng, p=parameter: rng.normal(size=p.shape[1:]))
    x = torch.randn(3, 7, 5, dtype=torch.float64)
    inputs = {
        "table": (torch.tensor([[0, 1, 2]] * 3),), "transformer": (x, torch.randint(0, 3, (3, 7, 4))), "recurrent": (x, torch.randn(3, 7, 6, dtype=torch.float64)),
    }.get(kind, (x,))  # fmt: skip
    out = ensemble(*inputs)
    for k in range(3):
        one = make().to(torch.float64)
        one.load_state_dict({name: value[k] for name, value in ensemble.parameters.items()}, strict=False)
        for mine, theirs in zip(
            out if kind == "recurrent" else [out],
            one(*[i[k] for i in inputs]) if kind == "recurrent" else [one(*[i[k] for i in inputs])],
            strict=True,
        ):
            assert_allclose(mine[k].detach(), theirs.detach(), rtol=1e-12, atol=1e-13)


def test_a_transformer_sees_nothing_of_later_tokens_and_is_a_distribution_over_sequences():
    ensemble = Ensemble(Transformer(2, 3, 4), seeds_of(2, wide=2))
    tokens = torch.tensor(np.stack(np.unravel_index(np.arange(81), (3,) * 4), axis=1))
    contexts = torch.ones(81, 2, dtype=torch.float64)
    log_next = torch.log_softmax(ensemble(contexts, tokens, shared=True), dim=-1)
    total = log_next.gather(-1, tokens.expand(2, 81, 4)[..., None])[..., 0].sum(dim=-1).exp().sum(dim=-1)
    assert_allclose(total.detach(), 1.0, rtol=1e-12)
    shorter = torch.log_softmax(ensemble(contexts, tokens[:, :2], shared=True), dim=-1)
    assert_allclose(shorter.detach(), log_next[:, :, :2].detach(), rtol=1e-12, atol=1e-13)
    same_start = log_next[:, tokens[:, 0] == 0, 1]
    assert (same_start == same_start[:, :1]).all()


def toy(seeds, steps=120, stop_at=None):
    """A regression whose data are drawn at every step, with a copy that follows: parameters at the end."""
    learner = Ensemble(MLP(3, 1, (8,)), seeds)
    other = copy_of(learner, MLP(3, 1, (8,)), seeds)
    noise = training.Noise(seeds, (16, 3))

    def loss(step):
        if step == stop_at:
            raise KeyboardInterrupt
        (u,) = noise.at(step)
        return ((learner(u)[..., 0] - u.sum(dim=2) + 0.1 * other(u)[..., 0]) ** 2).mean(dim=1)

    training.train(
        learner,
        loss,
        steps=steps,
        rate=0.01,
        noise=noise,
        others=[other],
        after=lambda step: other.copy_from(learner, 0.1),
        label="toy",
    )
    return {name: value.detach().clone() for name, value in learner.parameters.items()}


@pytest.mark.parametrize("bits", [64, 32])
def test_a_seed_trains_to_the_same_bits_whatever_is_beside_it(bits):
    together = toy(seeds_of(5, bits))
    alone = toy(Seeds(rngs(5)[3:4], Machine("cpu", bits)))
    for name, value in together.items():
        assert torch.equal(value[3], alone[name][0]), name


def test_stopped_training_resumes_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setenv("THEORYLAB_CACHE", str(tmp_path))
    wanted = toy(seeds_of(3))
    assert not list(tmp_path.rglob("*.pt"))  # training that ends leaves nothing
    monkeypatch.setattr(training, "SECONDS_BETWEEN", 0.0)
    with pytest.raises(KeyboardInterrupt):
        toy(seeds_of(3), stop_at=90)
    (kept,) = tmp_path.rglob("*.pt")
    assert torch.load(kept, weights_only=True)["step"] == 90
    calls = []
    monkeypatch.setattr(training, "tell", lambda text: calls.append(text))
    got = toy(seeds_of(3))
    for name, value in wanted.items():
        assert torch.equal(value, got[name]), name
    assert not list(tmp_path.rglob("*.pt"))
    # ... it did go on, and did not begin anew: a loss that stops at an earlier step never sees it
    with pytest.raises(KeyboardInterrupt):
        toy(seeds_of(3), stop_at=90)
    again = toy(seeds_of(3), stop_at=50)
    for name, value in wanted.items():
        assert torch.equal(value, again[name]), name


def test_a_damaged_checkpoint_is_begun_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("THEORYLAB_CACHE", str(tmp_path))
    wanted = toy(seeds_of(2))
    monkeypatch.setattr(training, "SECONDS_BETWEEN", 0.0)
    with pytest.raises(KeyboardInterrupt):
        toy(seeds_of(2), stop_at=60)
    (kept,) = tmp_path.rglob("*.pt")
    kept.write_bytes(kept.read_bytes()[:100])
    got = toy(seeds_of(2))
    for name, value in wanted.items():
        assert torch.equal(value, got[name])


def test_half_precision_trains_too():
    start = Ensemble(MLP(3, 1, (8,)), seeds_of(2, 16)).parameters
    half, single = toy(seeds_of(2, 16)), toy(seeds_of(2, 32))
    assert all(value.dtype == torch.float32 for value in half.values())
    moved = max(float((half[n] - start[n]).detach().abs().max()) for n in half)
    off = max(float((half[n] - single[n])[:2].abs().max()) for n in half)
    assert 0.0 < off < 0.2 * moved  # bfloat16 has 8 bits: other numbers, much the same training


# -- the plugins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEURAL)
def test_a_run_is_the_same_alone_and_among_others(name):
    """Few steps of everything a plugin does: measures to the bit."""
    plugin = plugin_of(name)
    parameters = plugin.algorithm.parameters | {"steps": 3}
    label, instance = next(reversed(plugin.references.items()))
    both = plugin.algorithm.function(instance, rngs(3), **parameters)
    alone = plugin.algorithm.function(instance, rngs(3)[1:2], **parameters)
    for measure, value in both.items():
        assert np.array_equal(value[1], alone[measure][0]), (label, measure)
        assert np.isfinite(value).all()


@pytest.mark.parametrize("name", NEURAL)
def test_untrained_networks_do_not_pass(name, monkeypatch):
    """The claims on networks are about training: after one step they must not hold."""
    monkeypatch.setenv("THEORYLAB_LEDGER", "off")
    plugin = plugin_of(name)
    scale = tuple(c.name for c in plugin.claims.values() if c.is_statistical)
    report = check(Request(find_with(name, "torch", "cpu"), seeds=32, claims=scale, settings=(("steps", "1"),)), "test")
    assert [v.status for v in report.verdicts] == ["REFUTED"] * len(scale)


@pytest.mark.parametrize("name", NEURAL)
def test_tables_agree_with_the_kernels_and_their_mutants_do_not(name):
    """Claims on single runs, and the mutants that must break them, without training."""
    plugin = plugin_of(name)
    exact = {c.name: c for c in plugin.claims.values() if not c.is_statistical}
    parameters = plugin.algorithm.parameters | {"steps": 1}
    broken = {m.name: m for m in plugin.mutants.values() if set(m.refuted_by) & set(exact)}
    assert broken
    for instance in plugin.references.values():
        right = plugin.algorithm.function(instance, rngs(2), **parameters)
        for claim in exact.values():
            assert (right[claim.measure] <= claim.bound(right) + 1e-15).all(), claim.name
    fallen = set()
    for mutant in broken.values():
        for instance in plugin.references.values():
            wrong = mutant.function(instance, rngs(2), **parameters)
            fallen |= {(mutant.name, c.name) for c in exact.values() if (wrong[c.measure] > c.bound(wrong) + 1e-6).any()}
    assert {(m.name, c) for m in broken.values() for c in m.refuted_by if c in exact} <= fallen


def test_a_copy_does_not_learn_until_it_is_told():
    seeds = seeds_of(2, wide=2)
    learner = Ensemble(MLP(2, 2, (3,)), seeds)
    copy = copy_of(learner, MLP(2, 2, (3,)), seeds)
    before = {name: value.clone() for name, value in copy.parameters.items()}
    x = torch.ones((1, 2), dtype=torch.float64)
    training.train(learner, lambda step: learner(x, shared=True).square().sum(dim=(1, 2)), steps=3, rate=0.1)
    assert all(torch.equal(before[name], value) for name, value in copy.parameters.items())
    assert not torch.equal(copy(x, shared=True), learner(x, shared=True))
    copy.copy_from(learner)
    assert torch.equal(copy(x, shared=True), learner(x, shared=True))


def test_checkpoints_are_named_by_all_that_training_depends_on():
    def key(*, seed=0, about="a", given=1.0, is_other=False):
        seeds = Seeds([np.random.default_rng(seed)], Machine("cpu", 64), 1)
        models = [Ensemble(MLP(2, 2, (3,)), seeds)]
        models += [copy_of(models[0], MLP(2, 2, (3,)), seeds)] if is_other else []
        return training._key(models, training.Noise(seeds, (1,)), [torch.tensor([given])], about)

    assert key() == key()
    assert len({key(), key(seed=1), key(about="b"), key(given=2.0), key(is_other=True)}) == 5


@pytest.mark.full
def test_long_sequences_are_learned_and_judged_by_all_of_them():
    """8 tokens, length 5: exploitability over 32,768 sequences. Four of five seeds come below a quarter of the reference's."""
    from theorylab_plugins.nash_md import neural

    game = neural.cyclic_game(np.random.default_rng(4), contexts=1, vocabulary=8, length=5, tau=0.1)
    seeds = seeds_of(8, 32, wide=8)
    log_policy = neural._trained(game, seeds, 400, 0.5, neural.Variant())
    assert_allclose(np.exp(log_policy).sum(axis=2), 1.0, rtol=1e-3)  # sums of 32,768 numbers in single precision
    mixed = 0.5 * log_policy + 0.5 * game.log_reference
    mixed -= np.logaddexp.reduce(mixed, axis=-1, keepdims=True)
    reference = float(game.exploitability(game.log_reference, 0.2))
    assert np.quantile(game.exploitability(mixed, 0.2), 0.8) < 0.25 * reference


@pytest.mark.full
@pytest.mark.parametrize("name", NEURAL)
def test_every_claim_holds_and_every_mutant_falls(name, monkeypatch):
    from theorylab.run.audit import audit

    monkeypatch.setenv("THEORYLAB_LEDGER", "off")
    report = check(Request(find_with(name, "torch", "cpu"), seeds=100), "test")
    assert {v.status for v in report.verdicts} == {"SUPPORTED"}, [(v.claim, v.reason) for v in report.verdicts]
    assert audit(Request(find_with(name, "torch", "cpu"), seeds=32)).is_clean


def test_the_command_line_runs_it_and_says_how_to_run_it_again(command, tmp_path):
    env = {"THEORYLAB_LEDGER": str(tmp_path / "ledger.sqlite")}
    done = command("check", "horizon-free-rfe", "--backend", "torch", "--seeds", 100, "--format", "json", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (plugin,) = document["plugins"]
    assert plugin["name"] == "horizon-free-rfe-torch"
    assert plugin["parameters"]["device"] == ("cuda" if torch.cuda.is_available() else "cpu")
    assert document["versions"]["torch"] == version("torch")  # of the distribution: the module adds its build
    assert {c["verdict"] for c in plugin["claims"]} == {"SUPPORTED"}
    scale = next(c for c in plugin["claims"] if c["mode"] == "with-probability")
    assert 2 <= scale["trials"] / scale["instances"] < 100  # training stops once the verdict is decided
    broken = command(
        "check",
        "horizon-free-rfe",
        "--backend",
        "torch",
        "--seeds",
        32,
        "--set",
        "steps=1",
        "--format",
        "json",
        env=env,
        cwd=tmp_path,
    )
    assert broken.returncode == 1
    words = next(c for c in json.loads(broken.stdout)["plugins"][0]["claims"] if c["verdict"] == "REFUTED")["counterexample"][
        "again"
    ]
    assert " --backend torch --device " in words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "pav", "--backend", "torch"), "has nothing for the backend 'torch'. These plugins have: distributional-dp, "),
        (("check", "nash-md", "--backend", "jax"), "--backend jax: no such backend. Installed: torch."),
        (("check", "nash-md", "--device", "cuda"), "--device cuda needs --backend"),
        (("check", "nash-md", "--backend", "torch", "--device", "tpu"), "write auto, cpu, cuda or cuda:1"),
        (("check", "nash-md", "--backend", "torch", "--set", "bits=8"), "--set bits=8: bits must lie in {16, 32, 64}"),
        (("check", "nash-md", "--backend", "torch", "--set", "mixing=1"), "--set mixing=1: mixing must lie in [0, 1)"),
    ],
)
def test_wrong_usage_is_named(command, arguments, message, tmp_path):
    done = command(*arguments, env={"THEORYLAB_LEDGER": "off"}, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_without_torch_the_extra_is_named(command, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('none here')\n")
    done = command(
        "check", "nash-md", "--backend", "torch", env={"THEORYLAB_LEDGER": "off", "PYTHONPATH": str(tmp_path)}, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "pip install 'theorylab[torch]'" in done.stderr
    health = command("doctor", env={"THEORYLAB_LEDGER": "off", "PYTHONPATH": str(tmp_path)}, cwd=tmp_path)
    assert health.returncode == 0, health.stdout
    assert "absent   backend torch (optional): The backend 'torch' needs torch." in health.stdout


# -- what is exact --------------------------------------------------------------------------------------------------------


def test_exploitability_of_sequences_against_the_game_written_out():
    from theorylab_plugins.nash_md.neural import cyclic_game

    from theorylab.solvers import games

    game = cyclic_game(np.random.default_rng(3), contexts=2, vocabulary=3, length=2, tau=0.2)
    table = game.table()
    log_policy = np.random.default_rng(0).normal(size=(2, 9))
    log_policy -= np.logaddexp.reduce(log_policy, axis=1, keepdims=True)
    best = games.regularised_exploitability(table, log_policy, 0.3)  # what a best response has: 1/2 where it gains nothing
    assert game.exploitability(log_policy, 0.3) == pytest.approx(best - 0.5, abs=1e-13)
    solution = games.regularised_equilibrium(table).log_policy
    assert game.exploitability(solution, 0.2) == pytest.approx(0.0, abs=1e-12)
    assert_allclose(np.exp(game.log_reference).sum(axis=1), 1.0, rtol=1e-12)


def test_sampled_sequences_follow_the_policy():
    """Frequencies against enumerated probabilities."""
    from theorylab_plugins.nash_md import neural

    game = neural.cyclic_game(np.random.default_rng(3), contexts=1, vocabulary=3, length=2, tau=0.2)
    learner, n = neural._Learner(game, seeds_of(1, wide=1)), 40_000
    tokens = learner.sampled(torch.as_tensor(np.random.default_rng(1).random((1, n, 2))))
    share = np.bincount((tokens[0, :, 0] * 3 + tokens[0, :, 1]).numpy(), minlength=9) / n
    policy = learner.every_log(learner.network)[0, 0].exp().detach().numpy()
    assert np.abs(share - policy).max() < 6.0 * math.sqrt(0.25 / n)  # six standard deviations at most


def test_the_sampled_loss_has_the_gradient_of_the_enumerated_one_on_average():
    """Two contexts and pairs enough that what normalised weights are off by, of the order 1 / pairs, drowns in the spread; by that spread itself."""
    from theorylab_plugins.nash_md import neural

    game = neural.cyclic_game(np.random.default_rng(3), contexts=2, vocabulary=3, length=2, tau=0.2)
    learner, beta, pairs, repeats = neural._Learner(game, seeds_of(1, wide=1)), 0.5, 1000, 60
    parameters = list(learner.network.parameters.values())
    exact = torch.autograd.grad(learner.exact_loss(beta, neural.RIGHT).sum(), parameters)
    uniforms = torch.as_tensor(np.random.default_rng(1).random((repeats, 2, 1, 2 * pairs, 2)))
    blocks = [torch.autograd.grad(learner.sampled_loss(*u, beta, neural.RIGHT).sum(), parameters) for u in uniforms]
    for k, wanted in enumerate(exact):
        found = torch.stack([block[k] for block in blocks])
        spread = found.std(dim=0) / math.sqrt(repeats)
        assert ((found.mean(dim=0) - wanted).abs() <= 6.0 * spread + 1e-9).all()
    # the enumerated loss itself, against the value written out
    log_policy = learner.every_log(learner.network).detach()[0].numpy()
    mixed = (1.0 - beta) * log_policy + beta * game.log_reference
    mixed -= np.logaddexp.reduce(mixed, axis=1, keepdims=True)
    value = [
        np.exp(p) @ table @ np.exp(m) - game.tau * np.exp(p) @ (p - mu)
        for p, m, mu, table in zip(log_policy, mixed, game.log_reference, game.table().preference, strict=True)
    ]
    assert -learner.exact_loss(beta, neural.RIGHT).item() == pytest.approx(np.mean(value), abs=1e-12)


def test_the_gradient_of_kl_by_tokens_has_the_published_numbers():
    """First logits of a two-token policy: reward-to-go gives the exact gradient; each token's own ratio alone does not."""
    first, second = torch.tensor([0.5, 0.5], dtype=torch.float64), torch.tensor([[0.9, 0.1], [0.5, 0.5]], dtype=torch.float64)
    mu_first, mu_second = (
        torch.tensor([0.3, 0.7], dtype=torch.float64),
        torch.tensor([[0.2, 0.8], [0.6, 0.4]], dtype=torch.float64),
    )
    z = first.log().requires_grad_()
    log_first = torch.log_softmax(z, dim=0)
    joint = log_first[:, None] + second.log()
    kl = (joint.exp() * (joint - mu_first.log()[:, None] - mu_second.log())).sum()
    (exact,) = torch.autograd.grad(kl, z)
    assert_allclose(exact, [0.49315309, -0.49315309], atol=5e-9)
    log_first = torch.log_softmax(z, dim=0)
    own, after = (log_first - mu_first.log()).detach(), second.log() - mu_second.log()
    weight = first[:, None] * second
    to_go = (weight * log_first[:, None] * (own[:, None] + after)).sum()
    assert_allclose(torch.autograd.grad(to_go, z, retain_graph=True)[0], exact, atol=1e-12)
    assert_allclose(
        torch.autograd.grad((weight * log_first[:, None] * own[:, None]).sum(), z)[0], [0.21182446, -0.21182446], atol=5e-9
    )


def test_the_worth_of_stock_policies_is_that_of_the_solver():
    from theorylab_plugins.distributional_dp import neural

    from theorylab.solvers.stock import stock_values

    for mdp in neural.plugin.references.values():
        model = neural._Model(mdp, Machine("cpu", 64))
        best = stock_values(mdp, neural.UTILITY, model.grid, steps=neural.steps_of(mdp))
        policy = best.policies[:1].astype(np.int64)
        if len(best.policies) == 1:
            assert_allclose(model.worth(policy)[0], best.value[mdp.start], atol=1e-9)
        assert (model.worth(policy)[0] <= best.value[mdp.start] + 1e-9).all()
        random = np.random.default_rng(0).integers(0, mdp.action_count, (20, *policy.shape[1:]))
        assert (model.worth(random) <= best.value[mdp.start] + 1e-9).all()


def test_robust_plans_with_the_true_features_are_the_solvers():
    from theorylab_plugins.r2pvi import neural
    from theorylab_plugins.r2pvi.instances import random_model

    from theorylab.solvers import drectangular
    from theorylab.solvers.offline import TV

    models = [*neural.plugin.references.values(), *(random_model(rng) for rng in rngs(10))]
    for model in models:
        for price in (0.05, 0.2, model.strength):
            plan = drectangular.plan(model, neural.ADVERSARY[TV], price)
            mine = neural.robust_policy(model, model.pairs, model.factors, price)
            value = drectangular.plan(model, neural.ADVERSARY[TV], price, mine).value
            assert_allclose(value[0], plan.value[0], atol=1e-12)


def test_learned_features_multiply_to_the_dynamics():
    """Mean total variation from the truth, by visits, with 4,000 episodes: .03 is what frequencies are off by, .04 to .06 what the fit is; a fit that only
    ranks successors alike is off by .2."""
    from theorylab_plugins.r2pvi import neural

    model = neural.plugin.references["delayed"]
    behaviour = np.full((model.state_count, model.action_count), 1.0 / model.action_count)
    seeds = seeds_of(3, wide=3)
    data = [neural.sample_visits(model, behaviour, 4000, rng) for rng in seeds.rngs]
    phi, mu = neural.fitted_factors(model, seeds, data, 400, neural.RIGHT)
    share = neural._counts(model, data, 3).sum(axis=3)
    share /= share.sum(axis=(1, 2), keepdims=True)
    off = np.abs(np.einsum("bpi,bhis->bhps", phi, mu) - np.einsum("pi,his->hps", model.pairs, model.factors)).sum(axis=3) / 2.0
    assert ((share * off).sum(axis=(1, 2)) < 0.1).all()


def test_episodes_of_switching_bandits_are_the_kernels():
    """Payoffs of random plays, from all arms rested, against the kernel that follows a sequence of plays."""
    from theorylab_plugins.lsd_bandits import neural
    from theorylab_plugins.lsd_bandits.algorithm import follow

    for bandit in neural.plugin.references.values():
        K, m = bandit.arm_count, bandit.memory
        arms = np.random.default_rng(0).integers(0, K, (5, 40))
        state, paid = torch.full((5, K), m), []
        for t in range(40):
            payoff, state = neural.played(torch.as_tensor(bandit.table), state, torch.as_tensor(arms[:, t]))
            paid.append(payoff)
        totals = [follow(bandit.table, row, np.full(K, m)) for row in arms]
        assert_allclose(torch.stack(paid, dim=1).sum(dim=1), totals, rtol=1e-12)


def test_plans_are_judged_by_the_reward_that_they_lose_most_of():
    """Plans with a uniform law, against values by hand for each reward; the largest loss is neither the first reward's nor the last's."""
    from theorylab_plugins.horizon_free_rfe import neural

    for mdp in neural.plugin.references.values():
        S, A = mdp.features.shape[:2]
        true, law = mdp.transition.reshape(S, A, S), np.full((S, A, S), 1.0 / S)
        losses = []
        for reward in mdp.rewards:
            believed, best, own = np.zeros(S), np.zeros(S), np.zeros(S)
            for h in range(mdp.horizon - 1, -1, -1):
                action = (reward[h] + law @ believed).argmax(axis=1)
                believed = (reward[h] + law @ believed).max(axis=1)
                own = (reward[h] + true @ own)[np.arange(S), action]
                best = (reward[h] + true @ best).max(axis=1)
            losses.append(best[mdp.start] - own[mdp.start])
        order = np.argsort(losses)
        for last in (order[0], order[-1]):  # whatever reward comes last
            rewards = np.concatenate([np.delete(mdp.rewards, last, axis=0), mdp.rewards[[last]]])
            found = neural._lost(dataclasses.replace(mdp, rewards=rewards), law[None])
            assert found[0] == pytest.approx(max(losses), abs=1e-12)
        assert max(losses) > min(losses) + 1e-6


def test_learned_weights_make_laws_near_the_truth():
    """Mean total variation by visits, with 200 episodes: .01 to .03; frequencies alone, .08 to .1."""
    from theorylab_plugins.horizon_free_rfe import neural

    for mdp in neural.plugin.references.values():
        seeds = seeds_of(3, wide=3)
        seen = neural._explored(mdp, seeds, 200, neural.RIGHT)
        law = neural._learned(mdp, seeds, seen, 150, neural.RIGHT)
        S, A = mdp.features.shape[:2]
        assert_allclose(law.sum(axis=3), 1.0, rtol=1e-12)
        share = seeds.kept(seen.sum(dim=3) / seen.sum())
        off = np.abs(law - mdp.transition.reshape(S, A, S)).sum(axis=3) / 2.0
        assert ((share * off).sum(axis=(1, 2)) / share.sum(axis=(1, 2)) < 0.05).all()


def test_a_check_that_is_stopped_in_the_middle_of_training_goes_on_from_there(tmp_path, monkeypatch):
    """Killed after 30 of 60 steps and begun anew: the same measures to the bit, and no step is made twice."""
    from theorylab.run.ledger import Ledger

    monkeypatch.setenv("THEORYLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(training, "SECONDS_BETWEEN", 0.0)
    request = Request(
        find_with("gradient-bandit", "torch", "cpu"), seeds=32, instance="four-contexts", claims=("networks-find-the-best-arms",),
        settings=(("steps", "60"),),
    )  # fmt: skip
    wanted = check(request, "test")
    saved, plain = [], training._Checkpoint.save

    def counted(self, step, *others):
        plain(self, step, *others)
        saved.append(step)
        if len(saved) == limit:
            raise KeyboardInterrupt

    monkeypatch.setattr(training._Checkpoint, "save", counted)
    ledger, limit = Ledger.open(tmp_path / "ledger.sqlite"), 60  # of two trainings: the block, and one seed of it again
    stopped = check(request, "test", ledger=ledger)
    assert stopped.interrupted
    before = len(saved)
    limit = 10_000
    again = check(request, "test", ledger=ledger)
    assert again.digests == wanted.digests
    assert [v.status for v in again.verdicts] == [v.status for v in wanted.verdicts]
    assert 60 <= before <= 64  # the other thread was told to stop, and kept what it had
    assert len(saved) - before <= 2 * 60 - before + 4  # the step that each thread was in may be made again
    assert not list((tmp_path / "cache").rglob("*.pt"))
