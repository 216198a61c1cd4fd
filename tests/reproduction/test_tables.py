"""The tables hold what was printed; one arm is one experiment; every row can be built at the smallest scale."""

from math import inf
from pathlib import Path

import pytest
import torch
from tests.for_each import for_each

from ganneal.plan import plan
from ganneal.reproduction import SCALES, TABLES, Reported, TableRow, results
from ganneal.reproduction.claims import claims
from ganneal.reproduction.datasets import PUBLISHED_DATA
from ganneal.reproduction.page import reproduction_page
from ganneal.reproduction.plan import reduced, seconds

ROOT = Path(__file__).parents[2]
ROWS = [(name, row) for name, table in TABLES.items() for row in table.all_rows]


def value(table: str, row: str, score: str = "FID") -> str:
    return TABLES[table].row(row).reported[score].text


def test_tables_have_as_many_rows_as_were_printed() -> None:
    counts = {name: len(table.rows) for name, table in TABLES.items()}
    assert counts == {
        "table2": 12,
        "table7": 30,
        "table8": 30,
        "table9": 12,
        "table10": 11,
        "table11": 8,
        "table12": 32,
        "conjugate-gradient": 20,
    }


@for_each(
    ("table", "row", "score", "text"),
    [
        ("table2", "lsun-tower/cfg-biggan", "FID", "19.76"),
        ("table7", "celeba/wgan-cts", "IS", "2.23?"),
        ("table7", "lsun-church/cfg-resnet-annealed", "IS", "3.43?"),
        ("table8", "lsun-bedroom/hinge-cts", "FID", "17.62"),
        ("table8", "celeba/cfg-resnet", "FID", "12.83"),
        ("table9", "cifar10/hinge-nats-15", "FID", "18.59"),
        ("table9", "cifar10/wgan-cts", "IS", "3.98"),
        ("table10", "cifar10/biggan-reversed-4", "FID", "16.89"),
        ("table10", "cifar10/original-cts", "FID", "37.93"),
        ("table11", "imagenet64/biggan64-nats-4", "IS", "25.01"),
        ("table12", "cifar10/wgan-nts-20", "FID", "115.01"),
        ("table12", "cifar10/hinge-nats-20", "FID", "19.4?"),
        ("conjugate-gradient", "cifar10/sngan-fr-const", "FID", "26.02"),
        ("conjugate-gradient", "cifar10/sngan-prp-decay", "FID, mean of ten best", "37.94±3.62"),
    ],
)
def test_numbers_are_those_printed(table: str, row: str, score: str, text: str) -> None:
    assert value(table, row, score) == text


def test_tables_agree_where_the_paper_does() -> None:
    for row in ("original-nats-10", "lsgan-nats-10", "wgan-nats-10", "original-nts-5", "lsgan-nts-10", "wgan-nts-10"):
        assert value("table9", f"cifar10/{row}") == value("table12", f"cifar10/{row}")
    for data in ("cifar10", "lsun-church"):
        assert value("table2", f"{data}/cfg-resnet") == value("table8", f"{data}/cfg-resnet")
    for scheme in ("cts", "nts-4", "nats-4"):
        assert value("table10", f"cifar10/biggan-{scheme}") == value("table11", f"cifar10/biggan-{scheme}")


def test_a_repaired_number_says_so_and_keeps_its_value() -> None:
    assert [Reported("19.4?").number, Reported("19.4?").doubtful, Reported("19.4").doubtful] == [19.4, True, False]


def test_orders_follow_from_the_numbers_not_from_the_text() -> None:
    better = {frozenset((c.better, c.worse)): c.better for c in claims(TABLES["table12"])}
    at_five = [better[frozenset((f"cifar10/{m}-nats-5", f"cifar10/{m}-nts-5"))] for m in ("original", "wgan", "lsgan")]
    assert at_five == ["cifar10/original-nats-5", "cifar10/wgan-nts-5", "cifar10/lsgan-nts-5"]
    scores = {(c.score, c.better, c.worse) for c in claims(TABLES["table11"])}
    ddgan = "cifar10/ddgan-cts", "cifar10/ddgan-nts-5"
    assert {("FID", *ddgan), ("IS", *ddgan[::-1])} <= scores


def test_rows_of_one_name_are_one_experiment_in_every_table() -> None:
    seen: dict[str, TableRow] = {}
    for _, row in ROWS:
        assert seen.setdefault(row.name, row).experiment == row.experiment


@pytest.mark.runs
@for_each("scale", SCALES)
def test_every_row_can_be_reduced_to_every_scale(scale: str) -> None:
    for _, row in ROWS:
        reduction = SCALES[scale].families[row.family]
        small = reduced(row.experiment, SCALES[scale], reduction)
        assert small.budget.num_real == reduction.num_real
        assert (small.scheme, small.loss) == (row.experiment.scheme, row.experiment.loss)  # the structure stays


@pytest.mark.runs
def test_networks_of_the_smallest_scale_build_and_are_small() -> None:
    scale = SCALES["cpu"]
    models = {}
    for _, row in ROWS:
        small = reduced(row.experiment, scale, scale.families[row.family])
        classes = 10 if "biggan" in row.family else 0
        models[repr(small.model), classes] = small.model
    assert len(models) == 8  # DCGAN with two norms, BigGAN with and without classes
    for (_, classes), model in models.items():
        with torch.random.fork_rng():
            pair = model.build((3, 32, 32), classes)
        assert sum(p.numel() for player in (pair.generator, pair.discriminator) for p in player.parameters()) < 5e5


def test_the_settings_of_the_paper() -> None:
    nats = TABLES["table11"].row("cifar10/biggan-nats-4").experiment
    assert (plan(nats.scheme).d_updates, plan(nats.scheme).g_updates, nats.batch_size) == (16, 10, 50)
    annealed = TABLES["table8"].row("cifar10/cfg-resnet-annealed").experiment
    stage = plan(annealed.scheme).stage
    assert stage is not None and (stage.stored, stage.pool_size, annealed.d_optimizer.lr) == (15, 640, 2.5e-4)


@pytest.mark.runs
def test_no_row_takes_more_than_half_an_hour_of_one_core() -> None:
    scale = SCALES["cpu"]
    for _, row in ROWS:
        reduction = scale.families[row.family]
        if reduction.cost is not None:
            assert seconds(reduced(row.experiment, scale, reduction), reduction.cost) < 1800, row.name


@pytest.mark.runs
def test_every_row_has_a_curve_of_twenty_points_that_no_busy_machine_puts_off() -> None:
    for scale in SCALES.values():
        for _, row in ROWS:
            small = reduced(row.experiment, scale, scale.families[row.family])
            assert small.budget.num_real == 20 * small.records.evaluate_every and small.records.evaluate_share == 1
            assert small.records.log_every <= small.records.evaluate_every


def test_the_page_lists_every_table_and_row_when_nothing_has_run() -> None:
    text = reproduction_page(TABLES, {})
    for table in TABLES.values():
        section = text.partition(f"## {table.title}\n")[2].partition("\n## ")[0]
        assert section.count("not run") == len(table.rows)
        assert all(row.label in section and PUBLISHED_DATA[row.dataset].title in section for row in table.rows)
    assert "needs LSUN Bedroom, `--data lsun-bedroom=PATH`" in text


def test_the_page_in_the_documentation_is_that_of_the_results() -> None:
    kept = (ROOT / "docs" / "reproduction.md").read_text()
    assert kept == reproduction_page(TABLES, results.read_all(ROOT / "results")), "run `ganneal reproduce page`"


def test_every_results_file_is_of_a_table_and_a_scale() -> None:
    rows = [row for table in TABLES.values() for row in table.all_rows]
    known = {results.ledger_file(ROOT / "results", scale, row) for row in rows for scale in SCALES}
    files = set((ROOT / "results").glob("*.json"))
    assert files <= known
    names = {row.name for row in rows}
    assert all(results.read(file).keys() <= names for file in files)


def test_the_wgan_rows_have_no_limit_on_a_critics_gap_and_functional_gradients_keep_theirs() -> None:
    limits = {(type(row.experiment.loss).__name__, row.experiment.losing_touch.limit) for row in TABLES["table8"].rows}
    assert limits == {("Wasserstein", inf), ("LeastSquares", inf), ("Hinge", inf), ("NonSaturating", 40.0)}
