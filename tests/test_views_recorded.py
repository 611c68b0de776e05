"""A recording drawn for people: what is in it, folded, and what must not be."""

import re
from pathlib import Path
from typing import Any

import made
import orders
import pytest

from shadowlab import choice, errors, triage
from shadowlab.investigation import Investigation, open_investigation
from shadowlab.records import Recordings
from shadowlab.views.style import INK, QUIET

DATABASE: dict[str, Any] = {
    "dialect": "postgresql",
    "rows": {"public.charges": [{"id": "7", "state": None}]},
    "reads": [{"seq": 0, "statement": "SELECT rate FROM rates", "parameters": ["EUR"], "columns": ["rate"],
               "rows": [["1.02"]], "row_count": 1}],
    "writes": [{"seq": 1, "statement": "UPDATE charges SET state = $1", "table": "public.charges",
                "before": [{"id": "7", "state": "new"}], "row_count": 1}],
    "incomplete": ["what `SELECT count(*)` counted"],
}  # fmt: skip
MAIL = {"seq": 1, "method": "POST", "url": "http://mail.internal/send", "status": None,
        "request_body": {"to": "ann@example.com"}, "request_body_encoding": "json",
        "error": {"type": "httpx.ReadTimeout", "message": "<script>alert(1)</script>"}}  # fmt: skip


@pytest.fixture
def inv(tmp_path: Path) -> Investigation:
    told = orders.document(
        1, database=DATABASE, outbound=[orders.stock(), MAIL], environment={"values": {"RATE": "0.2"}}
    )
    cut = orders.passing(2, truncated=["request.body"])
    opened = open_investigation(tmp_path / "case")
    opened.ingest(orders.written(tmp_path / "tapes", told, cut))
    return opened


def test_a_recording_shows_request_calls_rows_and_answer_with_bodies_folded(inv: Investigation) -> None:
    page = inv.recordings[0]._repr_html_()
    outside = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    for told in ("POST /orders -&gt; 500 TypeError", "GET http://stock.internal/items/tea -", "SELECT count(*)"):
        assert told in page.replace("<wbr>", "")
    assert "HALF" in page
    assert "HALF" not in outside
    assert "SELECT rate FROM rates" in page
    assert "UPDATE charges SET state = $1" in page
    assert "1.02" in page
    assert "1.02" not in outside


def test_nothing_secret_and_no_script_is_drawn(inv: Investigation) -> None:
    page = inv.recordings[0]._repr_html_()
    assert "ann@example.com" not in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_what_cannot_be_replayed_says_why(inv: Investigation) -> None:
    cut = next(tape for tape in inv.recordings if tape.missing)
    assert "request.body was cut when it was recorded" in cut._repr_html_()
    table = inv.recordings._repr_html_()
    assert "2 recordings, 1 failed, 1 cannot be replayed" in table
    assert isinstance(inv.recordings, Recordings)


def test_a_recording_that_nobody_handed_out_is_a_table(inv: Investigation) -> None:
    from shadowlab.replay import recording

    assert "<table" in recording.listed(inv.case)[0]._repr_html_()


def test_a_part_of_the_recordings_is_a_table_too_and_what_is_shown_by_name_a_page(inv: Investigation) -> None:
    part = inv.recordings[:1]
    assert isinstance(part, Recordings)
    assert "1 recording, 1 failed" in part._repr_html_()
    shown = inv.show(part[0].id)
    assert repr(shown) == "<Shown recording POST /orders -> 500 TypeError>"
    assert shown._repr_html_() == part[0]._repr_html_()
    assert "recordings" in inv.show()._repr_html_()


def test_an_overview_names_what_failed_and_the_beginning_of_a_name_will_do(tmp_path: Path) -> None:
    one, other = (orders.document(1, id=f"{n}" * 32, trace_id=f"a{n}" * 16) for n in (1, 2))
    inv = open_investigation(tmp_path / "case")
    inv.ingest(orders.written(tmp_path / "tapes", one, other))
    failing = inv.show().document["newest_failing"]
    assert failing == {"1" * 32: "POST /orders -> 500 TypeError", "2" * 32: "POST /orders -> 500 TypeError"}
    assert inv.show("1111").document["id"] == "1" * 32
    assert choice.linked(inv, "a1") == ("1" * 32,)
    with pytest.raises(errors.UsageError, match="2 recorded traces start with 'a'"):
        choice.linked(inv, "a")


def test_a_patch_that_is_another_kind_of_file_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(errors.PatchError, match="/dev/zero cannot be read: it is longer than 4,000,000 characters"):
        choice.patch("/dev/zero")


def test_no_words_bring_ink_without_paper_so_that_a_dark_theme_can_be_read(inv: Investigation) -> None:
    found = made.triage()
    for page in (inv.recordings[0]._repr_html_(), triage.html(found), triage.suspect_html(found.top)):
        outside = re.sub(r"<svg xmlns.*?</svg>", "", page, flags=re.DOTALL)
        for style in re.findall(r"style=(\"[^\"]*\"|'[^']*')", outside):
            assert INK not in style or "background" in style
            assert QUIET not in style


def test_a_triage_shows_itself_as_its_page_outside_of_notebooks_too(inv: Investigation) -> None:
    found = made.triage()
    assert "burn rate over it" not in found._repr_html_()
    found.bind(inv)
    assert "burn rate over it" in found._repr_html_()
    assert "POST /charges" in found.top._repr_html_()
