"""What scripts read: yaml, tables, and the words of the original."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.jobdoc import failures, for_people, just_submitted
from gateway.cli.printing import Column, table
from gateway.cli.yamltext import to_yaml

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["2022.12", "yes", "1e3", "a: b", "12:30"])
)
KEYS = st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=1)
DOCS = st.recursive(SCALARS, lambda one: st.lists(one) | st.dictionaries(KEYS, one), max_leaves=20)

TEMPLATE = """\
name: rstudio
tag: "2022.12"
type: JobTemplate
lastUpdated: 2023-06-30T13:50:51Z
jobParams:
    - image: rstudio:latest
      cpu: "2"
      mem: "4"
      env:
        - RSTUDIO_USER=rstudio
        - RSTUDIO_PASS=Welcome123!
      publish:
        - 8787:8787
      extraOptions: --irmap-scan-path /home/rstudio/
      withRoot: true
"""

MAPPINGS = """\
gateway:
    gatewayID: g-4Ui24EjdZXJAyeTHClufF
    IPAddress: 54.175.247.146
    portMappings:
        - 8787 -> 54.175.247.146:10000
"""


@given(DOCS)
def test_yaml_says_what_it_was_given(doc: Any) -> None:
    assert yaml.safe_load(to_yaml(doc)) == doc


def test_a_template_is_printed_as_in_the_guide() -> None:
    doc = yaml.safe_load(TEMPLATE)
    assert doc["lastUpdated"] == datetime(2023, 6, 30, 13, 50, 51, tzinfo=UTC)
    assert to_yaml(doc) == TEMPLATE


def test_port_mappings_are_printed_as_in_the_guide() -> None:
    assert to_yaml(yaml.safe_load(MAPPINGS)) == MAPPINGS


def test_why_an_act_failed_is_told_before_its_outcome_tells_it() -> None:
    job = {"name": "one", "id": "j1", "status": "Floating", "reason": "user", "trouble": "Saving it is slow."}
    assert failures([job]) == ["one (j1): Saving it is slow."]
    job |= {"status": "Executing", "reason": "It could not be moved, and runs on where it was: Saving it is slow."}
    assert failures([job]) == [f"one (j1): {job['reason']}"]
    assert failures([{**job, "trouble": ""}, {**job, "status": "Cancelled"}]) == []


def test_a_table_is_a_box_of_plain_ascii() -> None:
    columns = [Column("ID", lambda one: one["id"]), Column("STATUS", lambda one: one.get("status"))]
    box = table(columns, [{"id": "g-4Ui24", "status": "Ready"}, {"id": "g-5", "status": None}])
    assert box == (
        "+---------+--------+\n"
        "|   ID    | STATUS |\n"
        "+---------+--------+\n"
        "| g-4Ui24 | Ready  |\n"
        "| g-5     |        |\n"
        "+---------+--------+\n"
    )


def test_a_cell_cannot_break_out_of_its_line() -> None:
    assert len(table([Column("A", lambda one: one["a"])], [{"a": "x\ny\x1b[2J"}]).splitlines()) == 5


@pytest.mark.parametrize("rc", [0, "0"])
def test_a_job_is_printed_in_the_order_of_the_original(rc: object) -> None:
    job = {"gateway": {"portMappings": []}, "rc": rc, "status": "Completed", "user": "admin", "name": "a", "id": "x",
           "statusSinceMs": 5, "endTime": None, "workingHost": "", "new": 1}  # fmt: skip
    assert list(for_people(job)) == ["id", "name", "workingHost", "user", "status", "rc", "new", "gateway"]
    assert for_people(job)["rc"] == "0"
    assert "workingHost" not in just_submitted(job)
