"""The command line as a person meets it: help, plans, switching parts, errors, exit codes, and the frozen flags."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.for_each import for_each

import ganneal
from ganneal.cli import COMMANDS, main
from ganneal.cli.configure import configure
from ganneal.cli.sample import SampleCommand
from ganneal.cli.train import EXPERIMENT_PARTS
from ganneal.experiments import EXPERIMENTS
from ganneal.losses import LOSSES
from ganneal.optim import OPTIMIZERS
from ganneal.regularizers import REGULARIZERS, Sum
from ganneal.schemes import SCHEMES

FLAGS = Path(__file__).with_name("cli_flags.txt")
UPDATE_FLAGS = (
    r"ganneal train digits-nats --help-all | grep -oE -- ' --[a-z][a-z0-9.-]+' | sort -u > tests/cli/cli_flags.txt"
)

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Run a command in an empty folder; the exit status, and both streams without the frames of help texts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main(list(arguments))
        except SystemExit as exit:
            assert exit.code is None or isinstance(exit.code, int)
            status = exit.code or 0
        out, err = capsys.readouterr()
        return status, out, re.sub(r"[\s│╭╮╰╯─]+", " ", err)

    return run


@pytest.fixture(autouse=True)
def same_threads():
    """`--threads` sets them for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def field(out: str, path: str) -> str:
    """The value printed for the option ``path`` in the outline of a dry run."""
    lines, line = iter(out.splitlines()), ""
    for depth, name in enumerate(path.split("."), start=1):
        line = next(line for line in lines if line.startswith("  " * depth + f"{name}: "))
    return line.partition(": ")[2]


TINY_RING = (
    *("ring-nats", "--model.width", "8", "--data.num-samples", "512", "--batch-size", "16", "--threads", "1"),
    *("--scheme.levels", "2", "--budget.num-real", "100", "--records.log-every", "32"),
    *("--records.no-tensorboard", "--records.evaluate-count", "64"),
)
TINY_DIGITS = (
    *("digits-cts", "--model.width", "4", "--model.latent-size", "4", "--batch-size", "16", "--threads", "1"),
    *("--budget.num-real", "64", "--records.log-every", "32", "--records.no-tensorboard"),
    *("--records.evaluate-count", "0", "--records.sample-count", "4"),
)


# Help


@for_each("arguments", [(), ("--help",), ("-h",)])
def test_help_names_every_command(cli: Cli, arguments: tuple[str, ...]) -> None:
    status, out, err = cli(*arguments)
    assert (status, err) == (0, "")
    assert all(re.search(rf"^  {command} ", out, re.MULTILINE) for command in COMMANDS)


@for_each("command", COMMANDS)
def test_every_command_helps(cli: Cli, command: str) -> None:
    status, out, err = cli(command, "--help")
    assert (status, err) == (0, "")
    assert f"ganneal {command}" in out


def test_version_is_the_packages(cli: Cli) -> None:
    assert cli("--version") == (0, f"ganneal {ganneal.__version__}\n", "")


def test_help_of_train_names_every_experiment_and_every_part(cli: Cli) -> None:
    _, out, _ = cli("train", "--help")
    words = set(re.findall(r"[\w-]+", out))
    parts = {name for path, (_, registry) in EXPERIMENT_PARTS.items() if "." not in path for name in registry}
    assert set(EXPERIMENTS) | parts <= words


def test_short_help_fits_a_screen_and_all_help_does_not_need_to(cli: Cli) -> None:
    _, short, _ = cli("train", "digits-nats", "--help")
    _, everything, _ = cli("train", "digits-nats", "--help-all")
    assert len(short.splitlines()) <= 50
    assert "--records.checkpoint-seconds" not in short and "--records.checkpoint-seconds" in everything


def test_flags_of_train_are_the_frozen_ones(cli: Cli) -> None:
    _, out, _ = cli("train", "digits-nats", "--help-all")
    flags = set(re.findall(r" (--[a-z][a-z0-9.-]+)", out))
    frozen = set(FLAGS.read_text().split())
    assert flags == frozen, (
        f"flags of `ganneal train digits-nats` changed: new {sorted(flags - frozen)}, gone {sorted(frozen - flags)}. "
        f"If it was meant, say so in the changelog and run: {UPDATE_FLAGS}"
    )


# Plans: figures of Algorithm 3 of arXiv 2501.11318


def test_plan_of_four_levels_prints_the_papers_sequence_and_weights(cli: Cli) -> None:
    status, out, _ = cli("plan", "nats", "--scheme.levels", "4")
    assert status == 0
    assert "D G D GG D GGG D GGGG\n" in out
    assert "1, 0.215443, 0.0464159, 0.01\n" in out
    assert "4 D, 10 G\n" in out


@for_each(
    ("levels", "g_updates", "cost"),
    [(4, 10, "1.75"), (5, 15, "2"), (10, 55, "3.25"), (15, 120, "4.5"), (20, 210, "5.75")],
)
def test_plan_prints_counts_and_cost(cli: Cli, levels: int, g_updates: int, cost: str) -> None:
    _, out, _ = cli("plan", "nats", "--scheme.levels", str(levels))
    assert f"{levels} D, {g_updates} G\n" in out
    assert re.search(rf"cost per D update +{re.escape(cost)} x CTS", out)


def test_plan_prices_generator_updates(cli: Cli) -> None:
    # (K + c (N_d + 1) / 2) / (K + c) with K = 2, c = 3, N_d = 5
    _, out, _ = cli("plan", "nats", "--scheme.d-steps", "2", "--g-cost", "3")
    assert re.search(rf"cost per D update +{11 / 5:.3g} x CTS", out)


@pytest.mark.parametrize("levels", [50, 100])
def test_many_levels_are_legal_and_print_on_a_screen(cli: Cli, levels: int) -> None:
    status, out, _ = cli("plan", "nats", "--scheme.levels", str(levels))
    assert status == 0
    assert f"{levels} D, {levels * (levels + 1) // 2} G\n" in out
    assert re.search(r"weights +1, .*, 0\.01\n", out)
    assert re.search(rf"^ *{levels} +1 +{levels} +0\.01 ", out, re.MULTILINE)
    assert len(out.splitlines()) < 40 and max(map(len, out.splitlines())) < 200


@for_each("name", SCHEMES)
def test_every_scheme_is_planned_by_name(cli: Cli, name: str) -> None:
    status, out, _ = cli("plan", name)
    assert status == 0 and "updates per round" in out


def test_an_experiments_schedule_is_planned_by_its_name(cli: Cli) -> None:
    _, of_experiment, _ = cli("plan", "digits-nats")
    _, of_scheme, _ = cli("plan", "nats", "--beta1", "0.5", "--beta2", "0.999")  # the decays of its Adam
    assert of_experiment == of_scheme


def test_an_optimizer_without_moving_averages_is_planned_as_a_dry_run_does(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = replace(EXPERIMENTS["digits-nats"](), g_optimizer=OPTIMIZERS["sgd"])
    monkeypatch.setitem(EXPERIMENTS, "mine", lambda: mine)
    _, planned, _ = cli("plan", "mine")
    assert "averages with beta1" not in planned
    assert f"first round:\n{planned}" in cli("train", "mine", "--dry-run")[1]


def test_planning_takes_another_weight_rule_and_its_fields(cli: Cli) -> None:
    rule = ("--scheme.weights", "linear", "--scheme.weights.last", "0.5")
    _, out, _ = cli("plan", "nats", "--scheme.levels", "3", *rule)
    assert "weights  1, 0.75, 0.5\n" in out


def in_a_fresh_interpreter(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["plan", "nats", "--scheme.levels", "4"], ["plan", "--help"]])
def test_help_and_plans_of_schemes_do_without_torch(arguments: list[str]) -> None:
    script = "import sys; from ganneal.cli import main; s = main(sys.argv[1:]); print(s, 'torch' in sys.modules)"
    result = in_a_fresh_interpreter(script, *arguments)
    assert result.stdout.splitlines()[-1] == "0 False", result.stderr


# Switching parts and overriding fields


def test_dry_run_prints_the_experiment_and_its_round_and_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    status, out, err = cli("train", "digits-nats", "--scheme.levels", "4", "--dry-run")
    assert (status, err) == (0, "")
    assert field(out, "scheme") == "Nested" and field(out, "scheme.levels") == "4"
    assert field(out, "scheme.weights") == "Geometric" and field(out, "scheme.weights.last") == "0.01"
    assert "D G D GG D GGG D GGGG\n" in out and "1, 0.215443, 0.0464159, 0.01\n" in out
    assert "run directory: runs/digits-nats\n" in out
    assert list(tmp_path.iterdir()) == []


def test_run_directory_follows_the_seed_or_is_given(cli: Cli) -> None:
    assert "run directory: runs/digits-nats-seed3\n" in cli("train", "digits-nats", "--seed", "3", "--dry-run")[1]
    assert "run directory: here\n" in cli("train", "digits-nats", "--out", "here", "--dry-run")[1]
    assert "run directory: here\n" in cli("train", "digits-nats", "--dry-run", "--out=here")[1]


@pytest.mark.runs
@for_each(
    "arguments",
    [
        ("--loss", "lsgan", "--loss.weight-on", "loss"),
        ("--loss.weight-on", "loss", "--loss", "lsgan"),
        ("--loss=lsgan", "--loss.weight-on=loss"),
    ],
    ids=" ".join,
)
def test_a_part_is_switched_and_its_fields_overridden_in_any_order(cli: Cli, arguments: tuple[str, ...]) -> None:
    status, out, err = cli("train", "digits-nats", *arguments, "--dry-run")
    assert (status, err) == (0, "")
    assert field(out, "loss") == "LeastSquares" and field(out, "loss.weight_on") == "loss"


@pytest.mark.runs
@for_each(
    ("option", "value", "printed"),
    [
        ("--seed", "7", "7"),
        ("--precision", "bf16", "bf16"),
        ("--batch-size", "32", "32"),
        ("--budget.d-updates", "9", "9"),
        ("--scheme.d-steps", "4", "4"),
        ("--scheme.weights.last", "0.1", "0.1"),
        ("--model.d-norm", "layer", "layer"),
        ("--data.size", "32", "32"),
        ("--averaging.half-life", "5", "5.0"),
        ("--divergence.limit", "3", "3.0"),
        ("--records.log-every", "5", "5"),
        ("--d-optimizer.lr", "0.5", "0.5"),
        ("--g-optimizer.beta2", "0.9", "0.9"),
        ("--loss.weight-on", "loss", "loss"),
    ],
)
def test_a_field_of_the_part_in_place_is_set(cli: Cli, option: str, value: str, printed: str) -> None:
    status, out, err = cli("train", "digits-nats", option, value, "--dry-run")
    assert (status, err) == (0, "")
    assert field(out, option.removeprefix("--").replace("-", "_")) == printed


@pytest.mark.runs
@for_each(
    ("arguments", "expected"),
    [
        (
            ("--regularizer", "r1", "--regularizer.coefficient", "2", "--model.d-norm", "layer"),
            {"regularizer.coefficient": "2.0"},
        ),
        (("--regularizer", "clipping", "--regularizer.limit", "0.5"), {"regularizer.limit": "0.5"}),
        (
            ("--task", "labelled", "--task.no-paired", "--model", "biggan", "--model.width", "4", "--data.size", "32"),
            {"task": "Labelled", "task.paired": "False"},
        ),
        (
            ("--g-optimizer", "sgd", "--g-optimizer.rule", "cosine", "--g-optimizer.rule.clock", "g_updates"),
            {"g_optimizer": "SGD", "g_optimizer.rule": "Cosine", "g_optimizer.rule.clock": "g_updates"},
        ),
        (("--scheme", "cts", "--scheme.d-steps", "4"), {"scheme": "Alternating", "scheme.d_steps": "4"}),
        (
            ("--scheme", "nts", "--scheme.weights", "reversed", "--scheme.weights.of.last", "0.5"),
            {"scheme.weights": "Reversed", "scheme.weights.of.last": "0.5"},
        ),
        (("--data", "ring", "--data.modes", "5", "--model", "mlp"), {"data.modes": "5", "model": "MLP"}),
        (
            ("--model.discriminator", "sn-dcgan", "--model.generator.width", "9"),
            {"model": "Pair", "model.generator.width": "9", "model.discriminator": "SNDCGAN"},
        ),
        (
            ("--model.generator=fastgan", "--model.discriminator", "projected", "--model", "dcgan"),
            {"model": "Pair", "model.generator": "FastGAN", "model.discriminator": "Projected"},
        ),
        (
            ("--model", "projected", "--model.generator", "dcgan", "--model.side", "96"),
            {"model": "Projected", "model.generator": "DCGAN", "model.side": "96"},
        ),
        (
            ("--loss", "hybrid", "--loss.g-divergence", "kl", "--loss.exp-cap", "15"),
            {"loss": "DivergencePair", "loss.d_divergence": "js", "loss.g_divergence": "kl", "loss.exp_cap": "15.0"},
        ),
        (
            ("--loss", "arcsinh", "--loss.h", "shifted-softplus", "--loss.h.shift", "3"),
            {"loss": "FromMonotone", "loss.h": "ShiftedSoftplus", "loss.h.shift": "3.0"},
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_fields_of_a_part_just_put_in_place_are_set(
    cli: Cli, arguments: tuple[str, ...], expected: Mapping[str, str]
) -> None:
    status, out, err = cli("train", "digits-nats", *arguments, "--dry-run")
    assert status in (0, 2) and err == ""  # 2 where it would be refused, which its first line says
    assert {path: field(out, path) for path in expected} == expected


OUTER = {
    "loss.h": ("--loss", "arcsinh"),
    "regularizer.rule": ("--regularizer", "r1"),
    "augmentation.probability": ("--augmentation", "ada"),
}
"""Parts of parts that the experiment has not in place."""
PLACES = [path for path in EXPERIMENT_PARTS if "." not in path], [path for path in EXPERIMENT_PARTS if "." in path]
TOGETHER = [
    {path: name for path in places for name in list(EXPERIMENT_PARTS[path][1])[index : index + 1]}
    for places in PLACES
    for index in range(max(len(EXPERIMENT_PARTS[path][1]) for path in places))
]
"""Every registered part once, those of different places in one command."""


@pytest.mark.runs
@for_each("parts", TOGETHER, ids=lambda parts: " ".join(parts.values()))
def test_every_field_of_every_registered_part_has_a_flag(cli: Cli, parts: Mapping[str, str]) -> None:
    options = {path: f"--{path.replace('_', '-')}" for path in parts}
    chosen = [word for path, name in parts.items() for word in (*OUTER.get(path, ()), options[path], name)]
    status, out, err = cli("train", "digits-nats", *chosen, "--help-all")
    assert (status, err) == (0, "")
    flags = set(re.findall(r"--[a-z][a-z0-9.-]+", out))
    for path, name in parts.items():
        part = EXPERIMENT_PARTS[path][1][name]
        plain = [f.name for f in fields(part) if isinstance(getattr(part, f.name), int | float | str)]
        assert {f"{options[path]}.{field.replace('_', '-')}" for field in plain} <= flags


# Errors


@for_each(
    ("arguments", "nearest"),
    [
        (("trian", "digits-nats"), "train"),
        (("train", "digit-nats"), "digits-nats"),
        (("train", "digits-nats", "--loss", "lsgn"), "lsgan"),
        (("train", "digits-nats", "--loss=hinge-hinge"), "hinge-hinged"),
        (("train", "digits-nats", "--loss", "hybrid", "--loss.g-divergence", "reverse-kl"), "reverse_kl"),
        (("train", "digits-nats", "--scheme", "natss"), "nats"),
        (("train", "digits-nats", "--scheme.weights", "geometrc"), "geometric"),
        (("train", "digits-nats", "--regularizer", "wgangp"), "wgan-gp"),
        (("train", "digits-nats", "--model", "dcgam"), "dcgan"),
        (("train", "digits-nats", "--data", "digit"), "digits"),
        (("train", "digits-nats", "--task", "labeled"), "labelled"),
        (("train", "digits-nats", "--d-optimizer", "adamw"), "adam"),
        (("train", "digits-nats", "--g-optimizer.rule", "cosin"), "cosine"),
        (("plan", "nat"), "nats"),
        (("plan", "nats", "--scheme.weights", "revers"), "reversed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_an_unknown_name_fails_naming_the_nearest(cli: Cli, arguments: tuple[str, ...], nearest: str) -> None:
    status, out, err = cli(*arguments)
    assert (status, out) == (2, "")
    assert f"Did you mean '{nearest}'?" in err


@pytest.mark.parametrize(
    ("option", "nearest"), [("--scheme.levls", "--scheme.levels"), ("--modl.width", "--model.width")]
)
def test_an_unknown_flag_fails_naming_the_nearest(cli: Cli, option: str, nearest: str) -> None:
    status, _, err = cli("train", "digits-nats", option, "3", "--dry-run")
    assert status == 2
    assert option in err and nearest in err


@for_each("command", ["train", "plan"])
@for_each(
    ("option", "value", "message"),
    [
        ("--scheme.levels", "0", "levels must be at least 1, got 0; for a scheme without levels use --scheme cts"),
        ("--scheme.levels", "-3", "levels must be at least 1, got -3"),
        ("--scheme.d-steps", "0", "d_steps must be at least 1, got 0"),
        ("--scheme.weights.first", "0", "first must be a finite number above 0, got 0"),
        ("--scheme.weights.last", "-0.1", "last must be a finite number above 0, got -0.1"),
        ("--scheme.weights.last", "inf", "last must be a finite number above 0, got inf"),
    ],
)
def test_levels_and_weights_that_make_no_schedule_are_refused(
    cli: Cli, command: str, option: str, value: str, message: str
) -> None:
    name = {"train": "digits-nats", "plan": "nats"}[command]
    status, out, err = cli(command, name, option, value)
    assert (status, out) == (2, "")
    assert message in err


@for_each(
    ("arguments", "message"),
    [
        (("train", "digits-nats", "--batch-size", "0"), "batch_size must be at least 1, got 0"),
        (("train", "digits-nats", "--batch-size", "10", "--accumulate", "4"), "multiple of accumulate"),
        (("train", "digits-nats", "--precision", "fp8"), "fp8"),
        (("train", "digits-nats", "--budget.num-real", "0"), "budget.num_real must be above 0, got 0"),
        (("train", "digits-nats", "--seed", "-1"), "seed must be at least 0, got -1"),
        (("train", "digits-nats", "--scheme", "cts", "--scheme.weights", "ones"), "Alternating has no 'weights'"),
        (("train", "digits-nats", "--scheme", "cts", "--scheme.levels", "3"), "--scheme.levels"),
        (("train", "digits-nats", "--loss"), "--loss needs a name. Known: nonsaturating"),
        (("train", "digits-nats", "--loss="), "--loss needs a value, got the empty ''"),
        (("train", "digits-nats", "--loss", "--seed", "1"), "--loss needs a name"),
        (("train", "digits-nats", "--out"), "--out needs a value"),
        (("train", "--seed", "1"), "the experiment must come first, got '--seed'"),
        (("train", "digits-nats", "--regularizer", "r1"), "batch norm"),
        (("train", "digits-nats", "--model", "mlp"), "use the model 'dcgan'"),
        (("train", "ring-nats", "--model", "dcgan"), "use the model 'mlp'"),
        (("train", "no/such/folder"), "no such path: no/such/folder (there is no no); give a folder"),
        (("train", "./photo"), "no such path: ./photo; give a folder"),
        (("train", "digits"), "unknown experiment 'digits', and no such path. Did you mean 'digits-"),
        (("plan", "nats", "--g-cost", "0"), "g_cost must be above 0, got 0"),
        (("sample", "nowhere"), "no trained run at nowhere"),
        (("sample", "nowhere", "--out", "x.jpg"), "out must end in .png, .npz or .zip"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_users_mistake_is_explained_and_exits_with_2(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    status, _, err = cli(*arguments)
    assert status == 2
    assert message in err and "Traceback" not in err


def test_a_place_that_cannot_be_written_exits_with_1(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    status, _, err = cli("train", *TINY_RING, "--out", "file/run")
    assert status == 1
    assert err.startswith("error: ") and "file" in err
    assert "put it back, or name another place, and the same command goes on from the last checkpoint" in err


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some room there"),
        (errno.EROFS, "Make that disk writable"),
        (errno.EACCES, "Get the right to write there"),
        (errno.EIO, "Check that disk"),
        (errno.EBUSY, "Correct that"),
    ],
)
def test_errors_of_the_system_come_with_what_to_do(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def fail(command: SampleCommand, typed: str) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr(SampleCommand, "__call__", fail)
    status, _, err = cli("sample", "x")
    assert status == 1
    assert "somewhere" in err and f"{advice}" in err and "give the same command again. Nothing finished is lost." in err


@pytest.mark.parametrize("module", ["ganneal", "ganneal.cli"])
def test_the_process_exits_with_the_commands_status(module: str) -> None:
    script = f"import runpy; runpy.run_module({module!r}, run_name='__main__')"
    assert in_a_fresh_interpreter(script, "plan", "nats").returncode == 0
    failed = in_a_fresh_interpreter(script, "paln", "nats")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "Did you mean 'plan'?" in failed.stderr


@pytest.mark.runs
@pytest.mark.parametrize(
    ("arguments", "closed", "status"),
    [
        (["plan", "nats"], "stdout", 141),
        (["plan", "nats"], "both", 141),
        (["--help"], "stdout", 141),
        (["train", "ring-nats", "--help-all"], "stdout", 141),  # ends by SystemExit
        (["paln"], "stderr", 141),
        (["plan", "nats"], "stderr", 0),  # nothing was to be said there
        (["paln"], "stdout", 2),
    ],
)
def test_output_that_nobody_reads_ends_a_command_quietly(arguments: list[str], closed: str, status: int) -> None:
    """As after `| head -1`; 141 is what a shell says of a program that SIGPIPE ended."""
    read, write = os.pipe()
    os.close(read)
    stdout, stderr = (write if closed in (name, "both") else subprocess.PIPE for name in ("stdout", "stderr"))
    environment = os.environ | {"PYTHONUNBUFFERED": "1" if closed == "both" else ""}
    command = [sys.executable, "-m", "ganneal.cli", *arguments]
    try:
        done = subprocess.run(command, stdout=stdout, stderr=stderr, env=environment, text=True, timeout=120)
    finally:
        os.close(write)
    said = done.stderr or ""
    assert done.returncode == status, said
    assert said == "" if status != 2 else said.startswith("error: unknown command")


def test_a_broken_pipe_elsewhere_is_an_error_like_any_other(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: SampleCommand, typed: str) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    monkeypatch.setattr(SampleCommand, "__call__", fail)
    status, _, err = cli("sample", "x")
    assert status == 1 and "Broken pipe" in err and "give the same command again" in err


# Training and sampling


def test_training_says_on_standard_error_what_it_reached_and_where_everything_is(cli: Cli, tmp_path: Path) -> None:
    status, out, err = cli("train", *TINY_RING, "--out", "run")
    assert (status, out) == (0, "")
    assert "num_real reached 100 (12 over)" in err
    assert "112 real images, 7 D updates, 9 G updates" in err
    assert "run/samples/000000112.png" in err and "run/final" in err
    assert (tmp_path / "run/samples/000000112.png").exists() and (tmp_path / "run/final").is_dir()


def test_the_same_command_resumes_and_another_setting_is_refused(cli: Cli) -> None:
    assert cli("train", *TINY_RING, "--out", "run")[0] == 0
    status, _, err = cli("train", *TINY_RING, "--out", "run", "--budget.num-real", "200")
    assert status == 0 and "resuming run at 112 real images" in err
    status, _, err = cli("train", *TINY_RING, "--out", "run", "--scheme.levels", "3")
    assert status == 2 and "scheme.levels: 2 -> 3" in err


def test_samples_are_a_grid_an_array_or_a_folder_of_the_same_images(cli: Cli, tmp_path: Path) -> None:
    assert cli("train", *TINY_DIGITS, "--out", "run")[0] == 0
    for out in ("grid.png", "array.npz", "folder"):
        status, said, err = cli("sample", "run", "--count", "6", "--seed", "3", "--columns", "2", "--out", out)
        assert (status, err) == (0, "") and out in said
    images = np.load(tmp_path / "array.npz")["images"]
    assert images.shape == (6, 1, 16, 16) and images.dtype == np.uint8
    expected = ganneal.load(tmp_path / "run").sample(6, seed=3)
    assert np.abs(images - (expected.numpy() * 127.5 + 127.5)).max() <= 1  # rounding to 8 bits

    files = sorted((tmp_path / "folder").glob("*.png"))
    assert len(files) == 6
    for image, file in zip(images, files, strict=True):
        assert np.array_equal(pixels(file), image[0])
    rows, columns, factor = 3, 2, 3
    assert pixels(tmp_path / "grid.png").shape == (rows * (16 * factor + 2) + 2, columns * (16 * factor + 2) + 2)


def test_points_are_drawn_as_a_scatter_plot_or_written_as_they_are(cli: Cli, tmp_path: Path) -> None:
    assert cli("train", *TINY_RING, "--out", "run")[0] == 0
    assert cli("sample", "run", "--count", "5", "--out", "points.png")[0] == 0
    assert pixels(tmp_path / "points.png").std() > 0
    assert cli("sample", "run", "--count", "5", "--out", "points.npz")[0] == 0
    points = np.load(tmp_path / "points.npz")["points"]
    assert np.array_equal(points, ganneal.load(tmp_path / "run").sample(5, seed=0).numpy())
    status, _, err = cli("sample", "run", "--out", "folder")
    assert status == 2 and ".png or .npz for points" in err


FAST = {"nonsaturating", "hybrid", "ragan", "wgan"}
"""A loss of each kind; the other ones are slow. The contract of losses is tested for all."""


@pytest.mark.runs
@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in FAST else pytest.mark.slow) for n in LOSSES])
def test_every_loss_trains_from_the_command_line(name: str, cli: Cli) -> None:
    status, _, err = cli("train", *TINY_DIGITS, "--records.evaluate-count", "16", "--loss", name, "--out", name)
    assert status == 0, err


def test_terms_of_a_sum_are_set_one_by_one(cli: Cli) -> None:
    terms = ["--regularizer.terms.0.coefficient", "0.5", "--regularizer.terms.1.coefficient=0.05"]
    more = ["--regularizer.terms.1.interval", "4", "--regularizer.terms.1.no-scale-by-interval", "--seed", "3"]
    begun = ["train", "digits-nats", "--model.d-norm", "layer", "--regularizer", "r1-r2"]
    status, out, err = cli(*begun, *terms, *more, "--dry-run")
    assert (status, err) == (0, "")
    found = configure(EXPERIMENTS["digits-nats"](), [*begun[2:], *terms, *more], "t")
    r1, r2 = REGULARIZERS["r1"], REGULARIZERS["r2"]
    expected = (replace(r1, coefficient=0.5), replace(r2, coefficient=0.05, interval=4, scale_by_interval=False))  # type: ignore[type-var]
    assert found.regularizer == Sum(expected) and found.seed == 3


@for_each(
    ("wrong", "said"),
    [
        (["r1-r2", "--regularizer.terms.2.coefficient", "1"], "no part of that number, only: 0 (GradientPenalty), 1"),
        (["r1", "--regularizer.terms.0.coefficient", "1"], "GradientPenalty has no 'terms'"),
        (["none", "--regularizer.terms.0.coefficient", "1"], "no part of that number, only: none"),
        (["r1-r2", "--regularizer.terms.0", "r1"], "--regularizer.terms.0 needs a field, as"),
    ],
)
def test_terms_that_are_not_there_are_named(cli: Cli, wrong: list[str], said: str) -> None:
    status, _, err = cli("train", "digits-nats", "--regularizer", *wrong, "--dry-run")
    assert status == 2 and said in err


@for_each(
    ("wrong", "said"),
    [
        (["--data.size", "9"], "shape must be"),
        (["--regularizer", "r1"], "batch norm mixes the samples. Use another norm there"),
        (["--normalization", "gradient"], "--model.d-norm layer"),
        (["--data", "folder", "--data.path", "nowhere"], "nowhere"),
    ],
)
def test_a_dry_run_says_first_of_all_what_training_would_refuse_and_fails(
    cli: Cli, wrong: list[str], said: str
) -> None:
    status, out, _ = cli("train", "digits-nats", *wrong, "--dry-run")
    first, *_, last = out.rstrip().splitlines()
    assert status == 2 and first.startswith("it would be refused: ") and said in first and last == first


def test_a_dry_run_says_what_data_and_players_there_are(cli: Cli) -> None:
    assert "data: 1,797 samples of shape (1, 16, 16)" in cli("train", "digits-nats", "--dry-run")[1]
