"""What every augmentation promises, DiffAugment's ranges, and the probability that adapts."""

import io
import math
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor

from ganneal.augment import AUGMENTATIONS, PROBABILITIES, Adaptive, Augmentation, DiffAugment, Scheduled, Transforms
from ganneal.clocks import Counters
from ganneal.data import Digits, Ring
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments import digits_cts
from ganneal.losses import LOSSES, output_of
from ganneal.models import DCGAN, MLP
from ganneal.optim import Adam, Rise
from ganneal.regularizers import REGULARIZERS
from ganneal.schemes import Nested
from ganneal.steps import UpdateDiscriminator, UpdateGenerator

pytestmark = pytest.mark.usefixtures("one_thread")
every_augmentation = for_each("name", AUGMENTATIONS)
CHANGING = [name for name in AUGMENTATIONS if name != "none"]
ALWAYS = replace(Transforms(), probability=Scheduled(1.0), cutout=True)


def apply(part: Augmentation, images: Tensor, seed: int = 0, counters: Counters | None = None) -> Tensor:
    state = part.init_state()
    return part(images, torch.Generator().manual_seed(seed), state, counters or Counters(num_real=10_000_000))


def digits(**changes: Any) -> Experiment:
    experiment = Experiment(
        name="digits",
        data=Digits(),
        model=DCGAN(width=4, latent_size=4, d_norm="layer"),
        d_optimizer=Adam(lr=1e-2),
        g_optimizer=Adam(lr=1e-2),
        batch_size=16,
        budget=Budget(d_updates=4),
        records=Records(log_every=10**9),
    )
    return replace(experiment, **changes)


def trained(experiment: Experiment) -> Run:
    run = Run(experiment)
    run.rows = list(engine.training_rows(run))  # type: ignore[attr-defined]
    return run


@every_augmentation
def test_is_a_frozen_value_to_compare_and_save(name: str) -> None:
    part = AUGMENTATIONS[name]
    assert isinstance(part, Augmentation) and isinstance(hash(part), int)
    assert pickle.loads(pickle.dumps(part)) == part
    for field in fields(part):  # type: ignore[arg-type]
        with pytest.raises(FrozenInstanceError):
            setattr(part, field.name, getattr(part, field.name))


@every_augmentation
@for_each("shape", [(1, 8, 8), (3, 16, 16), (3, 28, 28)], ids=str)
def test_images_keep_their_shape_and_follow_the_given_generator_only(name: str, shape: tuple[int, ...]) -> None:
    part = AUGMENTATIONS[name]
    part.check(shape)
    images = torch.rand(4, *shape) * 2 - 1
    given, before = images.clone(), torch.get_rng_state()
    one, again, other = apply(part, images), apply(part, images), apply(part, images, seed=1)
    assert one.shape == images.shape and one.dtype == torch.float32 and one.isfinite().all()
    assert torch.equal(one, again) and torch.equal(images, given)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, other) == (name in ("none", "ada"))  # adaptive probability starts at 0


@for_each("name", CHANGING)
def test_points_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"augmentation .* changes images, got points of shape \(2,\); use .* 'none'"):
        Run(digits(data=Ring(num_samples=50), model=MLP(width=8), augmentation=AUGMENTATIONS[name]))


@pytest.mark.parametrize("part", [DiffAugment(), ALWAYS], ids=["diffaugment", "transforms"])
def test_gradients_reach_the_images_and_their_second_derivatives_exist(part: Augmentation) -> None:
    images = (torch.rand(1, 3, 4, 4, dtype=torch.float64) * 2 - 1).requires_grad_()

    def changed(x: Tensor) -> Tensor:
        return part(x, torch.Generator().manual_seed(3), part.init_state(), Counters()).pow(3)

    assert torch.autograd.gradgradcheck(changed, images, fast_mode=True)


def test_each_part_of_diffaugment_has_the_published_range() -> None:
    count = 2_000
    flat = torch.full((count, 3, 8, 8), 0.25)
    brightness = apply(DiffAugment(translation=False, cutout=False), flat)[:, 0, 0, 0] - 0.25
    assert -0.5 <= brightness.min() < -0.48 and 0.48 < brightness.max() <= 0.5
    cut = apply(DiffAugment(color=False, translation=False), flat) == 0
    assert cut.sum((1, 2, 3)).max() == 3 * 16 and cut.sum((1, 2, 3)).min() == 3 * 4  # a square of 4, cut at corners
    moved = apply(DiffAugment(color=False, cutout=False), flat) == 0
    assert moved[:, 0].any(1).sum(1).max() == 8 and moved[:, 0, 0].all(1).float().mean() == pytest.approx(
        1 / 3, abs=0.06
    )
    assert moved[:, 0].all(2).sum(1).max() == 1  # an eighth of 8 is one row
    assert torch.equal(apply(DiffAugment(False, False, False), flat), flat)


def test_saturation_and_contrast_of_diffaugment() -> None:
    count = 4_000
    images = torch.zeros(count, 3, 8, 8)
    images[:, 0] += 0.3  # all of one colour: no contrast, so that saturation alone acts
    changed = apply(DiffAugment(translation=False, cutout=False), images)
    color = changed[:, 0, 0, 0] - changed[:, 1, 0, 0]
    contrast_and_saturation = color / 0.3  # U(0, 2) x U(0.5, 1.5)
    assert contrast_and_saturation.min() >= 0 and 2.5 < contrast_and_saturation.max() <= 3
    assert contrast_and_saturation.mean().item() == pytest.approx(1, abs=5 * 0.68 / count**0.5)
    grey = torch.linspace(-1, 1, 8).expand(count, 1, 8, 8)
    spread = apply(DiffAugment(translation=False, cutout=False), grey).flatten(1).std(1) / grey[0].std()
    assert 0.5 <= spread.min() < 0.51 and 1.49 < spread.max() <= 1.5 + 1e-5


def test_transforms_are_made_with_their_probability() -> None:
    count = 2_000
    images = torch.rand(count, 1, 8, 8)
    for probability in (0.0, 0.3, 1.0):
        part = Transforms(Scheduled(probability), geometry=False, color=1.0)
        changed = (apply(part, images) - images).abs().flatten(1).max(1).values > 1e-6
        untouched = (1 - probability) ** 2 * (1 - probability / 2)  # brightness, contrast, and half the luma flips
        assert changed.float().mean().item() == pytest.approx(1 - untouched, abs=5 * 0.5 / count**0.5)
    same = apply(Transforms(Scheduled(0.0), cutout=True), images)
    torch.testing.assert_close(same, images)


def test_geometry_has_the_published_ranges_and_chances() -> None:
    p, side, images = 0.5, 64, torch.zeros(()).expand(20_000, 1, 64, 64)
    parts = list(Transforms()._geometry(images, torch.Generator().manual_seed(0), p))
    _, _, shift, scale, before, stretch, after, _ = parts
    turned = [(part[:, 1, 0] != 0).float() for part in (before, after)]
    assert torch.maximum(*turned).mean().item() == pytest.approx(p, abs=0.02)  # either of the two rotations
    assert turned[0].mean().item() == pytest.approx(1 - (1 - p) ** 0.5, abs=0.02)
    assert shift[:, :2, 2].abs().max() == side / 8 and torch.equal(shift, shift.round())
    moved = (shift[:, :2, 2] != 0).any(1).float().mean().item()
    assert moved == pytest.approx(p, abs=0.02)
    torch.testing.assert_close(stretch[:, 0, 0] * stretch[:, 1, 1], torch.ones(20_000))  # no area is lost
    torch.testing.assert_close(scale[:, 0, 0], scale[:, 1, 1])
    for part in (scale, stretch):
        lengths = part[:, 0, 0].log()
        assert lengths[lengths != 0].std().item() == pytest.approx(0.2 * math.log(2), rel=0.03)


def test_a_flip_of_luma_turns_the_grey_about_and_leaves_the_colours() -> None:
    images = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(0)) - 0.7
    almost_alone = Transforms(probability=Scheduled(1.0), geometry=False, color=1e-6)
    shown = apply(almost_alone, images)
    grey, shown_grey = images.mean(1, keepdim=True), shown.mean(1, keepdim=True)
    torch.testing.assert_close(shown - shown_grey, images - grey, rtol=0, atol=1e-4)
    flipped = (shown_grey - grey).abs().amax((1, 2, 3)) > 1e-3
    assert 16 < flipped.sum() < 48
    torch.testing.assert_close(shown_grey[flipped], -grey[flipped], rtol=0, atol=1e-4)


def test_the_schedule_counts_images_shown() -> None:
    part = Transforms(Scheduled(0.55, rule=Rise(end=100)))
    assert [part.probability_now({}, Counters(num_real=n)) for n in (0, 50, 100, 1000)] == pytest.approx(
        [0.0, 0.275, 0.55, 0.55]
    )


# The probability that adapts


def test_probability_moves_by_images_over_speed_towards_the_target() -> None:
    part, state = Adaptive(target=0.6, speed=1_000, every=100, limit=0.5), Adaptive().init_state()
    confident, unsure = torch.ones(50), torch.tensor([1.0, -1.0]).repeat(25)
    found = []
    for logits in [confident] * 6 + [unsure] * 4:
        part.observe(logits, state)
        found.append(round(float(part.now(state, Counters())), 6))
    assert found == [0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.2, 0.2, 0.1]


def test_probability_stays_within_its_limits() -> None:
    part, state = Adaptive(speed=100, every=10), Adaptive().init_state()
    for _ in range(20):
        part.observe(-torch.ones(10), state)
    assert float(part.now(state, Counters())) == 0
    for _ in range(20):
        part.observe(torch.ones(10), state)
    assert float(part.now(state, Counters())) == pytest.approx(0.8)


def test_micro_batches_add_up_to_the_batch() -> None:
    part, whole, parts = Adaptive(every=8, speed=100), Adaptive().init_state(), Adaptive().init_state()
    logits = torch.randn(64, generator=torch.Generator().manual_seed(0)) + 1
    for batch in logits.split(8):
        part.observe(batch, whole)
        for piece in batch.split(2):
            part.observe(piece, parts)
    assert float(whole["probability"]) == pytest.approx(float(parts["probability"]))


def test_the_boundary_of_least_squares_is_a_half() -> None:
    part, state = Adaptive(every=4, speed=100, boundary=0.5), Adaptive().init_state()
    part.observe(torch.full((4,), 0.4), state)
    assert float(part.now(state, Counters())) == 0
    part.observe(torch.full((4,), 0.6), state)
    assert float(part.now(state, Counters())) == pytest.approx(0.04)


# In training


@pytest.mark.parametrize("step", [UpdateDiscriminator(), UpdateGenerator()], ids=["discriminator", "generator"])
def test_everything_that_enters_the_discriminator_is_augmented(step: Any) -> None:
    run = Run(digits(augmentation=DiffAugment(color=False, translation=False), regularizer=REGULARIZERS["r1-r2"]))
    seen: list[Tensor] = []
    run.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    engine.apply(step, run)
    assert len(seen) == (4 if isinstance(step, UpdateDiscriminator) else 1)  # real, fake, and both penalties' points
    for images in seen:
        assert ((images == 0).flatten(1).sum(1) >= 16).all()  # a quarter at least of the 8 x 8 square


def test_penalties_take_the_gradient_in_the_image_before_augmentation() -> None:
    run = Run(digits(augmentation=DiffAugment(color=False, translation=False)))
    real = run.next_batch(16).samples.requires_grad_()
    (gradient,) = torch.autograd.grad(run.logits_of(real, ()).sum(), real)
    zero = (gradient == 0).flatten(1).sum(1)
    assert (zero >= 16).all() and (zero < 256).all()  # no slope where the image was cut out


def test_augmenting_has_its_own_random_stream() -> None:
    plain, augmented = Run(digits()), Run(digits(augmentation=DiffAugment()))
    for run in (plain, augmented):
        engine.apply(UpdateDiscriminator(), run)
        engine.apply(UpdateGenerator(), run)
    same = {
        name: torch.equal(plain.random[name].get_state(), augmented.random[name].get_state()) for name in plain.random
    }
    assert [name for name, equal in same.items() if not equal] == ["augmentation"]


@pytest.mark.parametrize(("name", "raised"), [("nonsaturating", True), ("lsgan", False)])
def test_the_sign_is_that_of_the_losss_own_boundary(name: str, raised: bool) -> None:
    part = Adaptive(every=4, speed=100)
    state = part.init_state()
    part.observe(torch.full((4,), 0.4), state, output_of(LOSSES[name]))
    assert (float(part.now(state, Counters())) > 0) == raised


@pytest.mark.runs
@for_each("name", [name for name in LOSSES if output_of(LOSSES[name]).boundary is None])
def test_adapting_to_signs_is_refused_where_only_differences_of_outputs_matter(name: str) -> None:
    experiment = replace(digits_cts(), loss=LOSSES[name], augmentation=AUGMENTATIONS["ada"])
    with pytest.raises(
        ValueError, match="only differences of outputs matter. Use --augmentation.probability scheduled"
    ):
        Run(experiment)
    Run(replace(experiment, augmentation=Transforms(Scheduled())))
    Run(replace(experiment, augmentation=Transforms(Adaptive(boundary=0.0))))


ADAPTING = Transforms(Adaptive(target=-0.9, speed=200, every=32), cutout=True)


@pytest.mark.runs
def test_the_adapted_probability_is_logged_and_resumes_bit_for_bit_in_a_round() -> None:
    experiment = digits(augmentation=ADAPTING, scheme=Nested(levels=2), budget=Budget(d_updates=5), accumulate=2)
    whole = trained(experiment)
    probability = float(whole.augmentation_state["probability"])
    assert 0 < probability <= 0.8
    assert 0 < whole.rows[-1]["augmentation"] < probability  # type: ignore[attr-defined]
    for updates in (1, 3):
        half = trained(replace(experiment, budget=Budget(d_updates=updates)))
        file = io.BytesIO()
        torch.save(half.state_dict(), file)
        resumed = Run(experiment)
        resumed.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
        list(engine.training_rows(resumed))
        assert resumed.digest() == whole.digest()
        assert float(resumed.augmentation_state["probability"]) == probability


@pytest.mark.runs
@for_each("name", CHANGING)
def test_augmented_training_goes_through_in_mixed_precision(name: str) -> None:
    run = trained(digits(augmentation=AUGMENTATIONS[name], precision="bf16", regularizer=REGULARIZERS["cr"]))
    assert run.is_finite()


@for_each(
    ("part", "field", "value"),
    [
        (Adaptive, "target", 1.0),
        (Adaptive, "speed", 0),
        (Adaptive, "every", 0),
        (Adaptive, "limit", 1.5),
        (Scheduled, "highest", -0.1),
        (Transforms, "color", float("nan")),
    ],
)
def test_bad_numbers_are_refused(part: Any, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be .*got {value}"):
        part(**{field: value})


def test_probabilities_have_names() -> None:
    assert {type(part) for part in PROBABILITIES.values()} == {Adaptive, Scheduled}
    assert math.isclose(float(Scheduled().now({}, Counters())), 0.5)
