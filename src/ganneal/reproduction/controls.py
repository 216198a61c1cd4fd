"""Rows of ours beside the published ones: what NATS must beat before annealing is what helped."""

from dataclasses import replace

from ganneal.comparison.study import matched_control, with_lr
from ganneal.experiment import Experiment
from ganneal.plan import plan
from ganneal.reproduction.recipes import TITLES, Loss4, classical
from ganneal.reproduction.table import TableRow
from ganneal.schemes import Nested


def matched_step(model: Loss4, levels: int) -> TableRow:
    """NTS with the generator's rate scaled so that its nominal step per discriminator update is that of NATS."""
    nats = classical("cifar10", model, "nats", levels)
    assert isinstance(nats.scheme, Nested)
    # Adam cancels a constant weight, so the learning rate carries the match: 1.47/3 of it at N_d = 5, 2.87/5.5 at 10.
    matched = matched_control(nats, nats.scheme)
    return _row("matched-step", "NTS at the step of NATS", model, levels, matched)


def long_step(model: Loss4, levels: int) -> TableRow:
    """CTS with the generator's rate scaled so that its nominal step per discriminator update is that of NTS."""
    cts, nts = (classical("cifar10", model, scheme, levels) for scheme in ("cts", "nts"))
    # (N_d + 1)/2, as NTS makes so many full steps where CTS makes one.
    ratio = plan(nts.scheme).nominal_steps_per_d_update / plan(cts.scheme).nominal_steps_per_d_update
    longer = replace(cts, g_optimizer=with_lr(cts.g_optimizer, ratio))
    return _row("long-step", "CTS at the step of NTS", model, levels, longer)


def equal_time(model: Loss4, levels: int) -> TableRow:
    """CTS for as many processor seconds as NATS took at the same seed."""
    cts = classical("cifar10", model, "cts")
    row = _row("cts-time", "CTS in the processor time of NATS", model, levels, cts)
    # Seed by seed what NATS took, as the speed of a machine changes from run to run.
    return replace(row, like=f"{model}-nats-{levels}")


def _row(name: str, words: str, model: Loss4, levels: int, experiment: Experiment) -> TableRow:
    arm, label = f"{model}-{name}-{levels}", f"{TITLES[model]}, {words}, N_d = {levels} (control of ours)"
    return TableRow("cifar10", arm, label, "classical", replace(experiment, name=arm), {})


def questions_of(model: Loss4, levels: int) -> tuple[tuple[str, str], ...]:
    """Questions about NATS and NTS of one loss at one N_d: is the first of each pair better than the second?"""
    nats, nts, cts = f"{model}-nats-{levels}", f"{model}-nts-{levels}", f"{model}-cts"
    matched, longer, timed = (f"{model}-{name}-{levels}" for name in ("matched-step", "long-step", "cts-time"))
    # NATS against every other; then NTS against CTS as it is and with longer steps: is it the nesting, or only the
    # longer way?
    pairs = (nats, cts), (nats, timed), (nats, nts), (nats, matched), (nats, longer), (nts, cts), (nts, longer)
    return tuple((f"cifar10/{first}", f"cifar10/{second}") for first, second in pairs)
