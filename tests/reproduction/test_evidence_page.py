"""The answer page says what the ledger holds: counts, differences and verdicts, and figures of its very numbers."""

from pathlib import Path
from typing import Any

import pytest

from ganneal.reproduction import TABLES, results
from ganneal.reproduction.answer import ANSWER_FILE, answer_page
from ganneal.reproduction.claims import check_claims, questions
from ganneal.reproduction.documents import drawn_content, write_documents
from ganneal.reproduction.evidence_figures import LEVELS_FIGURE, SCALE_SHOWN, content_hash_of, figure_contents

ROOT = Path(__file__).parents[2]
ARMS = ("cts", "cts-time-10", "nts-10", "nats-10", "matched-step-10", "long-step-10")


def entry(*values: float) -> dict[str, Any]:
    """A row with one run a seed, whose curve falls to its value."""
    runs = [
        {
            "outcome": {
                "seed": seed, "status": "finished", "num_real": 200_000, "g_updates": 9, "cpu_seconds": 90.0,
                "last_seen": value, "best_seen": value,
            },
            "last": {"FID": value},
            "best": {"FID": value},
            "curve": [
                {"num_real": n, "cpu_seconds": n / 2e3, "distance": value + 1e6 / max(n, 1), "coverage": 0.1}
                for n in (0, 100_000, 200_000)
            ],
            "core_share": 0.5,
            "provenance": {"commit": "0" * 40, "torch": "2", "threads": 1},
            "command": "ganneal reproduce",
            "date": "2026-12-01",
        }
        for seed, value in enumerate(values)
    ]  # fmt: skip
    protocol = {"samples": 10, "real_samples": 20, "reference": "x", "extractor": "y", "sampler": "generator"}
    names = {"FID": "FD-y@10"}
    return {"label": "row", "names": names, "protocol": protocol, "reduced_by": [], "runs": runs}


def ledger(**values: tuple[float, ...]) -> dict[str, Any]:
    return {f"cifar10/original-{name.replace('_', '-')}": entry(*given) for name, given in values.items()}


def test_an_empty_ledger_is_undecided_and_draws_nothing() -> None:
    text = answer_page(TABLES, {}, [])
    assert "**Undecided so far.** 0 of 56 comparisons (four losses, N_d of 5 and 10) have both schemes run" in text
    assert "| NATS against |" not in text and "![" not in text and figure_contents(TABLES, {}) == {}


def test_one_seed_shows_its_difference_and_decides_nothing() -> None:
    text = answer_page(TABLES, ledger(cts=(20.0,), nats_10=(17.5,)), [])
    assert "| common training (CTS), equal images | 10 | -2.5 (1), undecided | – | – | – |" in text
    assert "1 of 56 comparisons (four losses, N_d of 5 and 10) have both schemes run, and 0 are decided" in text
    assert "NATS against CTS, equal images: undecided in 1, not run in 7 of 8." in text and "None yet" in text


@pytest.mark.parametrize(
    ("sign", "word", "recommended"), [(1, "**better**", "NATS, as in original-nats-10"), (-1, "**worse**", "CTS")]
)
def test_three_clear_seeds_answer_either_way(sign: int, word: str, recommended: str) -> None:
    entries = ledger(cts_time_10=(20.0, 20.1, 19.9), nats_10=tuple(20 - sign * (5 + x) for x in (0.1, 0.0, -0.1)))
    text = answer_page(TABLES, entries, [])
    assert f"| CTS, equal processor time | 10 | {-5 * sign} (3), {word} |" in text
    assert f"**The recommended setting.** {recommended}" in text and "**The answer.**" in text


def test_questions_are_corrected_within_their_group_alone() -> None:
    entries = ledger(cts=(20.0, 20.1, 19.9), nats_10=(15.0, 15.3, 14.9))
    groups = [check_claims(group, entries) for group in questions(TABLES["table9"])]
    (one,) = [one for group in groups for one in group if one.verdict != "not run"]
    assert one.verdict == "agrees" and "corrected" not in one.why and one.claim.reported is None


@pytest.mark.runs
def test_a_figure_is_drawn_anew_only_where_its_numbers_changed(tmp_path: Path) -> None:
    page, entries = tmp_path / "reproduction.md", ledger(**{name.replace("-", "_"): (20.0, 21.0) for name in ARMS})
    write_documents(TABLES, {SCALE_SHOWN: entries}, page)
    figure = tmp_path / "evidence-original.png"
    content = figure_contents(TABLES, entries)
    assert list(content) == [figure.name] and list(content[figure.name]["panels"]) == ["10"]
    assert drawn_content(figure) == content_hash_of(content[figure.name])
    assert f"]({figure.name})" in page.read_text() and f"]({figure.name})" in (tmp_path / ANSWER_FILE).read_text()
    first = figure.stat().st_mtime_ns
    write_documents(TABLES, {SCALE_SHOWN: entries}, page)
    assert figure.stat().st_mtime_ns == first
    entries["cifar10/original-cts"]["runs"][0]["curve"][-1]["distance"] += 1e-3
    write_documents(TABLES, {SCALE_SHOWN: entries}, page)
    assert figure.stat().st_mtime_ns > first


@pytest.mark.runs
def test_the_distance_against_levels_stands_beside_what_was_reported(tmp_path: Path) -> None:
    entries = ledger(nats_5=(20.0,), nats_10=(19.0, 21.0), nts_20=(30.0,))
    content = figure_contents(TABLES, entries)[LEVELS_FIGURE]["losses"]["original"]
    assert content["measured"]["nats-{n}"] == [[5, [20.0]], [10, [19.0, 21.0]]]
    assert content["reported"]["nts-{n}"][-1] == [20, 43.09] and content["reported"]["matched-step-{n}"] == []
    write_documents(TABLES, {SCALE_SHOWN: entries}, tmp_path / "page.md")
    assert drawn_content(tmp_path / LEVELS_FIGURE) is not None


def test_the_documentation_is_that_of_the_ledger() -> None:
    docs, shown = ROOT / "docs", results.read_all(ROOT / "results")[SCALE_SHOWN]
    contents = figure_contents(TABLES, shown)
    again = "run `ganneal reproduce page`"
    assert (docs / ANSWER_FILE).read_text() == answer_page(TABLES, shown, list(contents)), again
    assert {file.name for file in docs.glob("evidence-*.png")} == set(contents), again
    assert all(drawn_content(docs / name) == content_hash_of(content) for name, content in contents.items()), again
