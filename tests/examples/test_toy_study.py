"""The toy study of schedules: its stacked runs against single ones, its controls, its files, its table and figure."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganneal.data import Grid, Ring
from ganneal.losses import NonSaturating
from ganneal.optim import SGD, Adam
from ganneal.plan import plan
from ganneal.schemes import Alternating, Nested
from ganneal.weights import Geometric

ROOT = Path(__file__).parents[2]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = spec_from_file_location("toy_study", ROOT / "examples" / "toy_study.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "toy_study", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def points(count: int = 300) -> list[Tensor]:
    loaded = (Ring(num_samples=count).load(), Grid(num_samples=count).load())
    return [torch.from_numpy(dataset.samples).double() for dataset in loaded]


def tensors(state: Any) -> list[Tensor]:
    return [p.detach() for player in (state.generator, state.discriminator, state.average) for p in player.parameters()]


@pytest.mark.parametrize("optimizer", [Adam(lr=1e-3), SGD(lr=0.1)], ids=["adam", "sgd"])
@pytest.mark.parametrize("scheme", [Alternating(2), Nested(3, 2, Geometric())], ids=["cts", "nats"])
@pytest.mark.usefixtures("double")
def test_stacked_runs_are_the_runs_alone(example: ModuleType, scheme: Any, optimizer: Any) -> None:
    arm = example.Arm("arm", "optimizer", scheme, optimizer, replace(optimizer, lr=optimizer.lr / 2))
    ring, grid = points()
    places = [(ring, 0), (grid, 0), (ring, 1)]

    def after(chosen: list[tuple[Tensor, int]]) -> list[Tensor]:
        return tensors(next(islice(example.rounds(arm, *map(list, zip(*chosen, strict=True)), 16), 9, None)))

    together = after(places)
    for index, place in enumerate(places):
        alone = after([place])
        torch.testing.assert_close([each[index] for each in together], [each[0] for each in alone])
    assert not torch.allclose(together[0][0], together[0][1])


@pytest.mark.usefixtures("double")
def test_a_stacked_run_is_an_ordinary_loop_on_the_librarys_players(example: ModuleType) -> None:
    optimizer, loss, (ring, _) = Adam(lr=1e-2), NonSaturating(), points()
    arm = example.Arm("arm", "adam", Nested(2, weights=Geometric()), optimizer, optimizer)
    state = next(islice(example.rounds(arm, [ring], [5], 16), 3, None))

    torch.manual_seed(5)
    pair = example.MODEL.build((2,))
    d_optimizer, g_optimizer = (
        torch.optim.Adam(p.parameters(), 1e-2, (0.5, 0.999)) for p in (pair.discriminator, pair.generator)
    )
    draws = example.Draws([ring], [5], 16)
    for _ in range(4):
        for weight, count in ((1.0, 1), (0.01, 2)):
            fake = pair.generator(draws.latents()[0])
            d_optimizer.zero_grad()
            loss.discriminator(pair.discriminator(draws.real()[0]), pair.discriminator(fake.detach())).mean().backward()
            d_optimizer.step()
            for _ in range(count):
                g_optimizer.zero_grad()
                loss.generator(pair.discriminator(pair.generator(draws.latents()[0])), weight=weight).mean().backward()
                g_optimizer.step()
    assert (state.d_updates, state.g_updates) == (8, 12)
    for stack, player in ((state.generator, pair.generator), (state.discriminator, pair.discriminator)):
        linears = [part for part in player.modules() if isinstance(part, nn.Linear)]
        torch.testing.assert_close([w[0] for w in stack.weights], [each.weight.T for each in linears])
        torch.testing.assert_close([b[0, 0] for b in stack.biases], [each.bias for each in linears])


def test_controls_have_the_generator_step_of_the_annealed_scheme(example: ModuleType) -> None:
    nats = Nested(10, 4, Geometric())
    scheme, optimizer = example.control(nats, SGD(lr=0.1))
    assert optimizer == SGD(lr=0.1) and len(set(scheme.weights(range(1, 11), 0))) == 1
    assert plan(scheme).effective_per_d_update == pytest.approx(plan(nats).effective_per_d_update)
    scheme, optimizer = example.control(nats, Adam(lr=1e-3))
    assert scheme == Nested(10, 4) and replace(optimizer, lr=1e-3) == Adam(lr=1e-3)
    length = plan(scheme).nominal_steps_per_d_update * optimizer.lr
    assert length == pytest.approx(plan(nats).nominal_steps_per_d_update * 1e-3)
    assert optimizer.lr == pytest.approx(1e-3 * 2.87 / 5.5, rel=2e-3)


def test_arms_are_seen_at_equal_discriminator_updates(example: ModuleType) -> None:
    assert len({example.stem(arm) for arm in example.ARMS}) == len(example.ARMS)
    for arm in example.ARMS:
        assert example.LOOK_EVERY % plan(arm.scheme).d_updates == 0
        assert arm.d_updates == example.D_UPDATES or arm.name.startswith("cts K=1, G as")
    assert [example.equal_g("adam", Adam(), levels).d_updates for levels in (4, 10)] == [25_000, 55_000]


def test_a_look_counts_the_modes_of_a_known_sample(example: ModuleType) -> None:
    ring = Ring(num_samples=8_000)
    whole = torch.from_numpy(ring.load().samples)
    seen = example.look(whole, ring.mixture)
    assert seen["modes"] == 8 and seen["modes_kl"] < 0.01 and seen["js"] < 0.1
    assert seen["high_quality"] == pytest.approx(0.9889, abs=0.01)
    one = example.look(whole[ring.load().labels == 0], ring.mixture)
    assert one["modes"] == 1 and one["modes_kl"] == pytest.approx(2.0794, abs=1e-3) and one["kl"] > 2
    lost = example.look(whole + 40, ring.mixture)
    assert lost["modes"] == 0 and lost["modes_kl"] is None and lost["js"] == pytest.approx(0.6931, abs=1e-3)
    assert example.look(whole * float("nan"), ring.mixture) is None


def test_the_best_look_has_the_least_divergence_and_a_collapse_is_one_mode_at_the_last(example: ModuleType) -> None:
    def run(*looks: tuple[int, float] | None) -> dict[str, Any]:
        found = {"curve": [{"present": look and {"modes": look[0], "js": look[1]}} for look in looks]}
        return {"present": example.held(found, "present")}

    stands, fell, diverged = run((8, 0.3), None, (2, 0.5)), run((7, 0.4), (8, 0.3), (1, 0.5)), run((8, 0.3), None)
    assert [example.collapsed(each) for each in (stands, fell, diverged)] == [False, True, True]
    assert fell["present"]["best"]["modes"] == 8 and fell["present"]["last"]["modes"] == 1
    assert diverged["present"] == {"last": None, "best": {"modes": 8, "js": 0.3}}


@pytest.mark.runs
def test_the_command_goes_on_and_writes_the_page(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(example, "SAMPLES", 100)
    monkeypatch.setattr(example, "ARMS", [replace(arm, d_updates=40) for arm in example.ARMS[:2]])
    monkeypatch.setattr(example, "DATA", {"ring": Ring(num_samples=500), "grid": Grid(num_samples=500)})
    out, page = tmp_path / "out", tmp_path / "page"
    command = ["--out", str(out), "--page", str(page)]
    assert example.main([*command, "--part", "1/2"]) == 0
    assert [path.name for path in out.iterdir()] == ["adam_1e-3_nts_N4_K1.json"] and not list(tmp_path.glob("page*"))
    monkeypatch.setattr(example, "rounds", lambda arm, *rest, real=example.rounds: fails_on(arm, real(arm, *rest)))
    assert example.main(command) == 0

    content = json.loads(page.with_suffix(".json").read_text())
    assert [(arm["name"], arm["d_updates"], arm["g_updates"]) for arm in content["arms"]] == [
        ("cts K=1", 40, 40),
        ("nts N=4 K=1", 40, 100),
    ]
    assert [(run["data"], run["seed"]) for run in content["arms"][0]["runs"]] == [
        (data, seed) for data in ("ring", "grid") for seed in range(3)
    ]
    assert page.with_suffix(".png").stat().st_size > 10_000
    assert "| adam 1e-3 | nts N=4 K=1 | 40 / 100 |" in capsys.readouterr().out


def fails_on(arm: Any, states: Iterator[Any]) -> Iterator[Any]:
    assert arm.name == "cts K=1", "trained again"
    return states


def test_the_table_has_means_and_extremes(example: ModuleType) -> None:
    looks = [{"modes": modes, "high_quality": 0.5, "modes_kl": kl} for modes, kl in ((8, 0.125), (5, None))]
    runs = [
        {"data": "ring", "averaged": {"last": look, "best": looks[0]}, "present": {"last": {"modes": place}}}
        for place, look in enumerate(looks, start=1)
    ]
    arm = {"name": "cts", "optimizer": "sgd", "d_updates": 10_000, "g_updates": 2_500, "cpu_seconds": 3.2, "runs": runs}
    *_, row = example.table({"arms": [arm]}, "ring").splitlines()
    assert row == ("| sgd | cts | 10,000 / 2,500 | 3 | 6.5 (5.0–8.0) | 8.0 | 0.50 | 0.50 | 0.125 | 0.125 | 1 of 2 |")
