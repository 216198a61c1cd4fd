"""Pushes against closed forms and against the generator's own gradient (propositions 2 and 4 of arXiv 2501.11318)."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ganneal.chain import Chain, Stored
from ganneal.losses import LOSSES, NonSaturating, Wasserstein
from ganneal.models import DCGAN
from ganneal.push import DELTAS, OfDivergence, Push
from tests.for_each import for_each

LOGISTIC = NonSaturating()
DIFFERENCES = {"rpgan", "rplsgan", "ragan", "rahinge"}
"""Losses of the generator that read real samples."""


def net(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers[:-1]).double()


def discriminator(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(net(3, 8, 1), nn.Flatten(0))


def generator() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return net(2, 8, 3), torch.randn(16, 2, dtype=torch.float64)


def flat(gradients: Any) -> Tensor:
    return torch.cat([g.flatten() for g in gradients])


def regression_gradient(g: nn.Module, latents: Tensor, targets: Tensor) -> Tensor:
    loss = 0.5 * (g(latents) - targets).square().flatten(1).sum(1).mean()
    return flat(torch.autograd.grad(loss, list(g.parameters())))


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_one_push_then_one_regression_is_the_generators_gradient_under_a_linear_loss(weight: float) -> None:
    (g, latents), d = generator(), discriminator(1)
    targets = Push()(d, g(latents), weight, LOGISTIC)
    ordinary = torch.autograd.grad(Wasserstein().generator(d(g(latents)), weight=weight).mean(), list(g.parameters()))
    torch.testing.assert_close(regression_gradient(g, latents, targets), flat(ordinary), rtol=1e-12, atol=1e-14)


@for_each("name", [name for name in LOSSES if name not in DIFFERENCES])
def test_down_any_loss_of_the_generator_one_push_then_one_regression_is_its_gradient(name: str) -> None:
    (g, latents), d, loss = generator(), discriminator(1), LOSSES[name]
    targets = Push(DELTAS["loss"])(d, g(latents), 1.0, loss)
    ordinary = torch.autograd.grad(loss.generator(d(g(latents))).mean(), list(g.parameters()))
    torch.testing.assert_close(regression_gradient(g, latents, targets), flat(ordinary), rtol=1e-11, atol=1e-14)


def test_a_chain_of_small_pushes_tends_to_the_sum_of_the_single_gradients_linearly() -> None:
    (g, latents), weights = generator(), (1.0, 0.5, 0.25)
    players = [discriminator(seed) for seed in (1, 2, 3)]
    single = sum(
        flat(torch.autograd.grad(-w * d(g(latents)).mean(), list(g.parameters())))
        for w, d in zip(weights, players, strict=True)
    )
    errors = []
    for step in (0.2, 0.1, 0.05, 0.025):
        chain = Chain(Push(), LOGISTIC, 16)
        for level, (w, d) in enumerate(zip(weights, players, strict=True), 1):
            chain.store(level, d, step * w)
        targets = chain.finish(g(latents), (), lambda d, x, given: d(x))
        errors.append(float((regression_gradient(g, latents, targets) / step - single).norm()))
    ratios = [a / b for a, b in zip(errors, errors[1:], strict=False)]
    assert errors[0] > 1e-6 and all(1.8 < ratio < 2.2 for ratio in ratios)


# delta(x) of each divergence by the papers' f of r = q/p = e^-D, up to a positive constant
PAPERS: dict[str, Any] = {
    "kl": lambda d: d.exp(),
    "reverse_kl": lambda d: torch.ones_like(d),
    "js": lambda d: 0.5 * d.sigmoid(),
    "squared_hellinger": lambda d: 0.5 * (d / 2).exp(),
    "neyman_chi2": lambda d: 2 * (-d).exp(),
    "jeffreys": lambda d: 1 + d.exp(),
}


@for_each("name", PAPERS)
def test_delta_of_a_divergence_is_the_papers_up_to_a_constant(name: str) -> None:
    outputs = torch.linspace(-3, 3, 25, dtype=torch.float64).requires_grad_()
    (delta,) = torch.autograd.grad(DELTAS[name].potential(outputs, LOGISTIC).sum(), outputs)
    papers = PAPERS[name](outputs.detach())
    torch.testing.assert_close(delta, papers / papers[12])  # both 1 at D = 0


@for_each("name", [name for name in DELTAS if name not in ("one", "loss")])
def test_delta_of_a_divergence_is_positive_and_bounded_far_out(name: str) -> None:
    outputs = torch.tensor([-1e4, -20.0, 0.0, 20.0, 1e4]).requires_grad_()
    (delta,) = torch.autograd.grad(DELTAS[name].potential(outputs, LOGISTIC).sum(), outputs)
    assert torch.isfinite(delta).all() and (delta > 0).all()
    assert delta[0] == delta[1] and delta[3] == delta[4]


@given(limit=st.floats(0.1, 20.0), d=st.floats(-30.0, 30.0))
def test_the_output_is_clamped_in_delta_alone(limit: float, d: float) -> None:
    output = torch.tensor([d], dtype=torch.float64).requires_grad_()
    potential = OfDivergence("kl", limit).potential(output, LOGISTIC)
    (delta,) = torch.autograd.grad(potential.sum(), output)
    expected = torch.tensor(d, dtype=torch.float64).clamp(-limit, limit).exp()
    torch.testing.assert_close(delta[0], expected)
    torch.testing.assert_close(potential[0].detach(), expected * d)


def test_the_plain_push_goes_along_the_input_gradient_whatever_the_loss() -> None:
    x, a = torch.randn(5, 3), torch.tensor([1.0, -2.0, 0.5])
    for loss in LOSSES.values():
        moved = Push()(lambda points: points @ a, x, 0.5, loss)
        torch.testing.assert_close(moved, x + 0.5 * a)
        assert not moved.requires_grad


def test_a_push_by_the_sign_moves_every_component_by_the_step() -> None:
    x, a = torch.randn(5, 3), torch.tensor([1.0, -2.0, 0.0])
    moved = Push(sign=True)(lambda points: points @ a, x, 0.5, LOGISTIC)
    torch.testing.assert_close(moved, x + torch.tensor([0.5, -0.5, 0.0]))


def batch_normed() -> nn.Module:
    torch.manual_seed(0)
    d = DCGAN(width=4, latent_size=4).build((1, 16, 16)).discriminator
    for _ in range(3):
        d(torch.randn(16, 1, 16, 16))
    return d.requires_grad_(False)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_samples_push_depends_on_its_batch_in_train_mode_alone(mode: Any) -> None:
    by, chain = Stored(batch_normed(), 1.0), Chain(Push(d_norm_mode=mode), LOGISTIC, chunk=8)
    x = torch.randn(8, 1, 16, 16)
    others = torch.cat([x[:1], torch.randn(7, 1, 16, 16)])
    first, second = (chain.move(batch, (), lambda d, points, given: d(points), by)[0] - x[0] for batch in (x, others))
    assert torch.allclose(first, second, atol=1e-6) == (mode == "eval")


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_push_leaves_the_discriminator_in_its_mode_with_its_buffers(mode: Any) -> None:
    by, chain = Stored(batch_normed(), 1.0), Chain(Push(d_norm_mode=mode), LOGISTIC, chunk=3)
    before = {key: value.clone() for key, value in by.discriminator.state_dict().items()}
    chain.move(torch.randn(8, 1, 16, 16), (), lambda d, points, given: d(points), by)
    after = by.discriminator.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before) and by.discriminator.training


def test_pushes_in_chunks_are_those_of_each_chunk_alone() -> None:
    by, chain = Stored(batch_normed(), 0.3), Chain(Push(), LOGISTIC, chunk=4)
    x = torch.randn(10, 1, 16, 16)
    whole = chain.move(x, (), lambda d, points, given: d(points), by)
    parts = [chain.move(part, (), lambda d, points, given: d(points), by) for part in x.split(4)]
    assert torch.equal(whole, torch.cat(parts))


def test_the_chain_begins_again_at_a_level_stored_before_and_after_the_generator_moved() -> None:
    d, g = discriminator(1), generator()[0]
    chain = Chain(Push(), LOGISTIC, 4)
    for level in (1, 2, 3):
        chain.store(level, d, 1.0)
    chain.store(2, d, 0.5)
    assert {level: by.step_size for level, by in chain.stored.items()} == {1: 1.0, 2: 0.5}
    chain.leave(g)
    with pytest.raises(ValueError, match=r"level 1 .*since the generator last moved.*got \[\] only. Use StoreDiscr"):
        chain.at(1)
    kept = chain.generator
    chain.leave(g)
    assert chain.generator is kept and len(chain.stored) == 2
    chain.store(1, d, 2.0)
    assert chain.generator is None and list(chain.stored) == [1]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: OfDivergence("kll"), "unknown divergence 'kll'"),
        (lambda: OfDivergence(limit=0.0), "limit must be above 0"),
    ],
)
def test_what_no_push_can_do_is_refused(make: Any, said: str) -> None:
    with pytest.raises(Exception, match=said):
        make()
