"""The benchmark's own arithmetic: medians, verdicts, and that the page keeps its prose."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from .load import Sample
from .report import BEGIN, END, PAGE, markdown, write
from .rounds import Results
from .targets import TARGETS


def results(ours: float, nginx: float) -> Results:
    made = Results(missing={"caddy": "there is no caddy"})
    for peer, value in (("floatgate", ours), ("nginx", nginx)):
        for drift in (0.5, 1, 7):
            made.cell("small", peer).samples.append(Sample({"per_second": value * drift, "cpu_us": math.nan}))
    return made


@pytest.mark.parametrize(("ours", "verdict"), [(50.0, "met"), (49.0, "not met")])
def test_a_target_is_judged_whatever_the_machine_does(ours: float, verdict: str) -> None:
    assert TARGETS[0].verdict(results(ours, 100.0)) == verdict


def test_a_round_s_ratio_is_taken_before_the_median() -> None:
    """Both are three times as fast in the second round, and one of them had bad luck in the third."""
    made = Results()
    for peer, values in (("floatgate", (40.0, 120.0, 45.0)), ("nginx", (50.0, 150.0, 150.0))):
        made.cell("small", peer).samples += [Sample({"per_second": value}) for value in values]
    assert made.ratio("small", "floatgate", "nginx", "per_second") == 0.8
    made.cell("small", "nginx").samples.pop()
    assert made.ratio("small", "floatgate", "nginx", "per_second") == 45 / 100
    assert made.ratio("small", "floatgate", "caddy", "per_second") is None


def test_what_was_not_measured_is_not_judged() -> None:
    assert {one.verdict(Results()) for one in TARGETS} == {"not measured"}


def test_missing_peers_and_wrong_answers_are_named() -> None:
    made = results(50, 100)
    made.cell("small", "nginx").samples.append(Sample({"per_second": 9}, bad=3))
    text = markdown(made, "how")
    assert "caddy is missing: there is no caddy" in text and "small, nginx: 3 wrong or lost answers" in text


def test_the_prose_around_the_tables_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write("new", page)
    write("newer", page)
    assert page.read_text() == f"before\n{BEGIN}\n\nnewer\n\n{END}\nafter\n"


def test_the_page_has_its_markers() -> None:
    text = PAGE.read_text()
    assert text.index(BEGIN) < text.index(END)
