"""The page that answers one question from the ledger: does nested annealing help?"""

from collections.abc import Mapping, Sequence

from ganneal.comparison.paired import compared
from ganneal.reproduction.claims import VERDICTS, CheckedClaim, check_claims, questions, stands
from ganneal.reproduction.evidence_figures import LEVELS_FIGURE, SCALE_SHOWN, loss_figure_name
from ganneal.reproduction.nats import CONTROLLED
from ganneal.reproduction.recipes import TITLES
from ganneal.reproduction.results import Entry
from ganneal.reproduction.scales import SCALES
from ganneal.reproduction.table import Table
from ganneal.wording import markdown_table, number

ANSWER_FILE = "does-nested-annealing-help.md"
# The verdicts of an order that the seeds have settled, one way or the other.
DECIDED = VERDICTS[:2]
AGAINST = {
    "cts": "common training (CTS), equal images",
    "cts-time-{n}": "CTS, equal processor time",
    "nts-{n}": "nesting without annealing (NTS), equal images",
    "matched-step-{n}": "NTS at the generator step of NATS",
    "long-step-{n}": "CTS at the generator step of NTS",
}
"""Opponents of NATS, by the end of the arm's name."""
QUESTION = """# Does nested annealing help?

**The question.** Common training (CTS) updates the discriminator and the generator in turn. Nested annealed training
(NATS) makes 1, 2, ... N_d generator updates after the discriminator updates of a round, with weights that fall from
1 to 0.01. With the same data it does (N_d + 1)/2 times the generator work. Is the generator better for it? If so, is
the cause the nesting, the annealing, or only a generator step of another length?
"""
LIMITS = """**What is not known.** Longer training, wider networks, other data or FID may give another order. The
paper's own numbers, by FID and with wider networks, have NATS ahead in most rows. Three seeds show differences of a
few times the spread over seeds, not small ones.

**Try it on your data.** `ganneal compare nats=EXPERIMENT --controls --num-real 100000 --seeds 5` makes the same
comparison ([Comparing fairly](comparing.md)).

**Where it comes from.** `make evidence` runs what is missing. `ganneal reproduce page` writes this page from the
folder `results`, which has each run's curve, commit and machine. [Reproduction](reproduction.md) has every row.
"""


def answer_page(tables: Mapping[str, Table], entries: Mapping[str, Entry], figures: Sequence[str]) -> str:
    """The Markdown page from the ``entries`` of the scale that is shown, with the ``figures`` that belong to it."""
    # Group by group: p is corrected among the seven questions of one loss and N_d, not among all 56.
    checked = [one for group in questions(tables["table9"]) for one in check_claims(group, entries)]
    return "\n".join(
        [
            QUESTION,
            _answer(checked),
            *([_differences(checked, entries)] if any(one.verdict != "not run" for one in checked) else []),
            *_pictures(figures),
            _recommended(checked),
            _measured(entries),
            LIMITS,
        ]
    )


def _against(checked: Sequence[CheckedClaim], end: str, levels: Sequence[int] = CONTROLLED) -> list[CheckedClaim]:
    """NATS held against one control, for every loss at each N_d of ``levels``."""
    # The row of CTS has no N_d: it stands against NATS at each, as `format` leaves a name without {n} as it is.
    pairs = {(f"cifar10/{loss}-nats-{n}", f"cifar10/{loss}-{end.format(n=n)}") for loss in TITLES for n in levels}
    return [one for one in checked if (one.claim.better, one.claim.worse) in pairs]


def _counted(checked: Sequence[CheckedClaim], end: str) -> str:
    own = _against(checked, end)
    counts = {verdict: [one.verdict for one in own].count(verdict) for verdict in VERDICTS}
    # In the order of `VERDICTS`; a count of 0 is not said.
    words = zip(counts.values(), ("better in", "worse in", "undecided in", "not run in"), strict=True)
    return f"{', '.join(f'{word} {count}' for count, word in words if count)} of {len(own)}"


def _answer(checked: Sequence[CheckedClaim]) -> str:
    """Three sentences: against common training, whether annealing is what does it, and how much is decided."""
    decided = sum(one.verdict in DECIDED for one in checked)
    run = sum(one.verdict != "not run" for one in checked)
    word = "The answer" if decided else "Undecided so far"
    # At equal images NATS makes (N_d + 1)/2 times the generator updates; in equal time CTS sees more images for that;
    # at an equal step only the annealing is left.
    by_images, by_time, by_step = (_counted(checked, end) for end in ("cts", "cts-time-{n}", "matched-step-{n}"))
    return (
        f"**{word}.** {run} of {len(checked)} comparisons (four losses, N_d of 5 and 10) have both schemes run, and "
        f"{decided} are decided. One seed decides nothing.\n\n"
        f"- NATS against CTS, equal images: {by_images}.\n"
        f"- NATS against CTS, equal processor time: {by_time}.\n"
        f"- NATS against NTS with the same generator step, where only the annealing differs: {by_step}.\n"
    )


def _differences(checked: Sequence[CheckedClaim], entries: Mapping[str, Entry]) -> str:
    """A table of NATS's distance minus that of each control: negative is better."""
    rows = [
        [words, str(n), *(_cell(one, entries) for one in _against(checked, end, [n]))]
        for end, words in AGAINST.items()
        for n in CONTROLLED
    ]
    note = (
        "Each cell is the mean difference in distance over seeds, with the number of seeds in brackets. Below 0 NATS "
        "is better. A cell is decided if the 95 % interval leaves out 0 and p is at most 0.05, corrected for the seven "
        "comparisons of one loss and N_d."
    )
    return "\n".join([markdown_table(["NATS against", "N_d", *TITLES.values()], rows), "", note, ""])


def _cell(one: CheckedClaim, entries: Mapping[str, Entry]) -> str:
    if one.verdict == "not run":
        return "–"
    # The difference of the verdict itself: over the seeds that both have, two diverged runs being equal.
    finding = compared(*(stands(entries[name], one.claim.score) for name in (one.claim.better, one.claim.worse)))
    if finding is None:
        return "no common seed"
    verdict = {"agrees": "**better**", "disagrees": "**worse**"}.get(one.verdict, "undecided")
    return f"{number(finding.comparison.difference)} ({finding.comparison.pairs}), {verdict}"


def _pictures(figures: Sequence[str]) -> list[str]:
    own = [
        (loss_figure_name("original"), "Distance of the original GAN's schemes against real images and processor time"),
        (LEVELS_FIGURE, "Distance against N_d here, and the FID reported"),
    ]
    return [f"![{alt}]({file})\n" for file, alt in own if file in figures]


def _recommended(checked: Sequence[CheckedClaim]) -> str:
    """NATS only where it beat common training in its own processor time; the wins are listed."""
    # A scheme that is better for more work only is no recommendation, so the comparison in equal time decides.
    timed = _against(checked, "cts-time-{n}")
    wins = [one.claim.better.removeprefix("cifar10/") for one in timed if one.verdict == "agrees"]
    losses = [one.claim.better.removeprefix("cifar10/") for one in timed if one.verdict == "disagrees"]
    if wins:
        said = f"NATS, as in {', '.join(wins)}: better than CTS in the same processor time, at the paper's rate"
    elif losses:
        said = f"CTS: in its processor time NATS was worse in {', '.join(losses)} and better nowhere"
    else:
        said = "None yet, because no comparison in equal processor time is decided"
    return f"**The recommended setting.** {said}.\n"


def _measured(entries: Mapping[str, Entry]) -> str:
    runs = [run for name, entry in entries.items() if name.startswith("cifar10/") for run in entry["runs"]]
    # Not the time on the clock, which other work on the machine lengthened.
    seconds = sum(run["outcome"]["cpu_seconds"] for run in runs)
    scale = SCALES[SCALE_SHOWN]
    family = scale.families["classical"]
    return (
        f"**What is measured.** {len(runs)} run{'s' * (len(runs) != 1)} on CIFAR-10 at the scale `{SCALE_SHOWN}`, "
        f"{seconds / 3600:.1f} processor hours. Each trains a DCGAN of width {family.widths['DCGAN']['width']} on "
        f"{family.num_real:,} real images. The distance is the Fréchet distance of the shipped classifier's features "
        f"over {scale.samples:,} samples. It is not FID.\n"
    )
