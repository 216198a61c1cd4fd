"""Rows of ours beside the published ones: what NATS must beat before annealing is what helped."""

from dataclasses import replace

from ganneal.comparison.study import matched_control, with_lr
from ganneal.experiment import Experiment
from ganneal.plan import plan
from ganneal.reproduction.recipes import Loss4, classical
from ganneal.reproduction.table import TableRow
from ganneal.schemes import Nested

OURS = "control of ours"
"""What the label of each row here says."""


def matched_step(model: Loss4, title: str, levels: int) -> TableRow:
    """NTS with the generator's rate scaled so that its nominal step per discriminator update is that of NATS."""
    nats = classical("cifar10", model, "nats", levels)
    assert isinstance(nats.scheme, Nested)
    matched = matched_control(nats, nats.scheme)
    return _row(f"{model}-matched-step-{levels}", f"{title}, NTS at the step of NATS, N_d = {levels}", matched)


def long_step(model: Loss4, title: str, levels: int) -> TableRow:
    """CTS with the generator's rate scaled so that its nominal step per discriminator update is that of NTS."""
    cts, nts = (classical("cifar10", model, scheme, levels) for scheme in ("cts", "nts"))
    ratio = plan(nts.scheme).nominal_steps_per_d_update / plan(cts.scheme).nominal_steps_per_d_update
    longer = replace(cts, g_optimizer=with_lr(cts.g_optimizer, ratio))
    return _row(f"{model}-long-step-{levels}", f"{title}, CTS at the step of NTS, N_d = {levels}", longer)


def equal_time(model: Loss4, title: str, levels: int) -> TableRow:
    """CTS for as many processor seconds as NATS took at the same seed."""
    row = _row(
        f"{model}-cts-time-{levels}",
        f"{title}, CTS in the processor time of NATS, N_d = {levels}",
        classical("cifar10", model, "cts"),
    )
    return replace(row, like=f"{model}-nats-{levels}")


def _row(arm: str, label: str, experiment: Experiment) -> TableRow:
    return TableRow("cifar10", arm, f"{label} ({OURS})", "classical", replace(experiment, name=arm), {})


def controls_of(model: Loss4, title: str, levels: int) -> tuple[TableRow, ...]:
    """The three controls of one loss at one N_d."""
    return tuple(make(model, title, levels) for make in (matched_step, long_step, equal_time))


def questions_of(model: Loss4, levels: int) -> tuple[tuple[str, str], ...]:
    """What is asked of NATS and NTS of one loss at one N_d: is the first of each pair better than the second?"""
    nats, nts, cts = f"{model}-nats-{levels}", f"{model}-nts-{levels}", f"{model}-cts"
    matched, longer, timed = (f"{model}-{name}-{levels}" for name in ("matched-step", "long-step", "cts-time"))
    pairs = (nats, cts), (nats, timed), (nats, nts), (nats, matched), (nats, longer), (nts, cts), (nts, longer)
    return tuple((f"cifar10/{first}", f"cifar10/{second}") for first, second in pairs)
