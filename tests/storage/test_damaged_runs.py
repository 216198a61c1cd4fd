"""Files of a run that accidents or other hands changed: each is noticed, and named with what to do about it."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.for_each import for_each

import ganneal
from ganneal.data import Ring
from ganneal.experiment import Budget, Experiment, Records
from ganneal.inference.trained_run import FREE_PARAMETERS
from ganneal.models import MLP
from ganneal.storage.run_directory import RunDirectory

EXPERIMENT = Experiment(
    name="ring",
    data=Ring(num_samples=32),
    model=MLP(width=4, depth=2, latent_size=2),
    batch_size=8,
    budget=Budget(num_real=16),
    records=Records(log_every=8, evaluate_count=0, sample_count=4, tensorboard=False),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    ganneal.train(EXPERIMENT, out)
    return out


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A finished run to damage."""
    return shutil.copytree(whole, tmp_path / "run")


@pytest.mark.runs
def test_a_byte_of_the_weights_that_changed_is_noticed(run: Path) -> None:
    weights, card = (run / "final" / name for name in ("generator.safetensors", "card.json"))
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1  # a digit of one number
    weights.write_bytes(changed)
    with pytest.raises(ValueError, match=r"generator\.safetensors: its bytes are not the ones that were written"):
        ganneal.load(run)
    without = {key: value for key, value in json.loads(card.read_text()).items() if key != "sha256"}
    card.write_text(json.dumps(without))
    with pytest.raises(ValueError, match=r"generator\.safetensors: its bytes are not the ones that were written"):
        ganneal.load(run)


def model(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda card: card["experiment"]["model"].update(fields)


CARDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a task without its type": lambda card: card["experiment"]["task"].pop("type"),
    "another part's field": model(colour=1),
    "a field of another type": model(depth="two"),
    "no field": lambda card: card["experiment"].pop("model"),
    "a part that is a number": lambda card: card["experiment"].update(model=3),
    "no experiment": lambda card: card.pop("experiment"),
    "an experiment that is a list": lambda card: card.update(experiment=[]),
    "another width": model(width=3),
    "a width that fills the memory": model(width=2**20),
    "layers without end": model(depth=10**12),
}


@pytest.mark.runs
@pytest.mark.parametrize("change", CARDS.values(), ids=CARDS)
def test_a_card_that_does_not_fit_its_weights_is_named(change: Callable[[dict[str, Any]], object], run: Path) -> None:
    card = run / "final" / "card.json"
    content = json.loads(card.read_text())
    change(content)
    card.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"card\.json"):
        ganneal.load(run)


@pytest.mark.runs
def test_networks_are_built_up_to_a_size_that_follows_from_the_weights(run: Path) -> None:
    built: list[int] = []
    build = MLP.build

    def counted(self: MLP, *arguments: Any) -> Any:
        hook = torch.nn.modules.module.register_module_parameter_registration_hook(
            lambda module, name, parameter: built.append(parameter.numel())
        )
        try:
            return build(self, *arguments)
        finally:
            hook.remove()

    card = run / "final" / "card.json"
    content = json.loads(card.read_text())
    content["experiment"]["model"] |= {"width": 2**10, "depth": 10**6}
    card.write_text(json.dumps(content))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(ValueError, match="far larger than the weights"):
        patch.setattr(MLP, "build", counted)
        ganneal.load(run)
    assert 0 < sum(built) < 1.2 * FREE_PARAMETERS


@pytest.mark.runs
def test_a_card_of_a_tensor_that_no_memory_holds_is_refused(run: Path) -> None:
    card = run / "final" / "card.json"
    content = json.loads(card.read_text())
    content["experiment"]["model"] |= {"width": 2**50, "depth": 1}
    card.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="far larger than the weights beside it; restore the card"):
        ganneal.load(run)


LINES = {"no JSON": b"{", "no UTF-8": b'{"a": "\xff"}', "no row": b"3", "a row without a place": b'{"d_loss": 1.0}'}


@for_each("line", LINES.values(), ids=LINES)
def test_a_damaged_line_of_the_record_is_named_and_only_a_last_one_is_passed_over(line: bytes, tmp_path: Path) -> None:
    row = b'{"num_real": 1, "seconds": 0.5}\n'
    directory = RunDirectory(tmp_path)
    directory.metrics.write_bytes(row + line)
    assert directory.rows() == [{"num_real": 1, "seconds": 0.5}]
    directory.metrics.write_bytes(row + line + b"\n" + row)
    with pytest.raises(ValueError, match=r"metrics\.jsonl is damaged in line 2 .*; remove that line"):
        directory.rows()


@pytest.mark.runs
@pytest.mark.parametrize(
    "content",
    [b"{}", b'{"experiment": 3}', b'{"experiment": {}, "places": {"data.path": [1]}}', b"\xff", b"[" * 10_000, b"[]"],
)
def test_a_description_of_no_experiment_is_named(content: bytes, run: Path) -> None:
    (run / "experiment.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"experiment\.json is damaged .*use another run directory"):
        ganneal.train(EXPERIMENT, run)


def resaved(run: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The newest training state after ``change``, under a name that holds its hash: whole, and of another program."""
    (path,) = (run / "checkpoints").glob("*.pt")
    content = torch.load(path, weights_only=True)
    change(content)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.unlink()
    named = f"{path.name[:12]}-{hashlib.sha256(buffer.getvalue()).hexdigest()[:16]}.pt"
    path.with_name(named).write_bytes(buffer.getvalue())
    return path.with_name(named)


STATES: dict[str, Callable[[dict[str, Any]], object]] = {
    "without a position": lambda content: content["state"].pop("data_position"),
    "without an optimizer": lambda content: content["state"].pop("d_optimizer"),
    "of a wider generator": lambda content: content["state"]["generator"].update({"net.0.weight": torch.zeros(9, 2)}),
    "with a clock of its own": lambda content: content["state"]["counters"].update(moons=1),
}


@pytest.mark.runs
@pytest.mark.parametrize("change", STATES.values(), ids=STATES)
def test_a_whole_checkpoint_with_another_state_is_named(change: Callable[[dict[str, Any]], object], run: Path) -> None:
    resaved(run, change)
    with pytest.raises(
        ValueError, match=r"(?s)checkpoint in .*checkpoints holds no state of this experiment .*remove it"
    ):
        ganneal.train(EXPERIMENT, run)


@pytest.mark.runs
@pytest.mark.parametrize("part", ["state", "identity", "metrics_bytes"])
def test_a_checkpoint_that_lacks_a_part_is_passed_over(part: str, run: Path) -> None:
    path = resaved(run, lambda content: content.pop(part))
    with pytest.warns(UserWarning, match=f"{path.name}: not a training state: it has no {part}"):
        with pytest.raises(ValueError, match="no usable checkpoint"):
            ganneal.train(EXPERIMENT, run)


@pytest.mark.runs
@pytest.mark.parametrize("left", [0, 0.7])
def test_rows_lost_from_the_end_of_a_record_are_told_and_spoil_none_after_them(left: float, run: Path) -> None:
    """As a file system may lose them and keep the newer training state; where some stay, a line is cut off."""
    record = run / "metrics.jsonl"
    lines, size = record.read_text().splitlines(), record.stat().st_size
    os.truncate(record, int(left * size))
    kept = record.read_text().splitlines()[:-1]
    assert len(kept) == (1 if left else 0) and len(lines) == 2
    longer = replace(EXPERIMENT, budget=Budget(num_real=32))
    with pytest.warns(UserWarning, match=rf"metrics\.jsonl has lost its last rows: {size:,} bytes were written"):
        ganneal.train(longer, run)
    rows = [json.loads(line) for line in record.read_text().splitlines()]
    assert [row["num_real"] for row in rows] == [*(json.loads(line)["num_real"] for line in kept), 24, 32]
    ganneal.train(longer, run)  # it can be read again


def test_what_a_training_state_counts_on_is_on_the_disk_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = [], os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(os.path.realpath(f"/dev/fd/{descriptor}")).name)
        fsync(descriptor)

    directory = RunDirectory(tmp_path)
    directory.append({"num_real": 8, "seconds": 0.0})
    monkeypatch.setattr(os, "fsync", note)
    directory.save_checkpoint({"counters": {"d_updates": 1, "g_updates": 1}}, EXPERIMENT.identity())
    assert synced[0] == "metrics.jsonl" and synced[1].endswith(".pt.tmp")
