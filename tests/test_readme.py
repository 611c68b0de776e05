"""The README's session is executed, and its comments are what it prints; what is written is linked and complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shadowlab.bundle import folder
from shadowlab.cli import main
from tests.conftest import Told

README = Path(__file__).parent.parent / "README.md"
DIGEST = re.compile(r"(?<=<)(\w+) [0-9a-f]{8}")


def session() -> str:
    """The Python block between the README's marks."""
    between = README.read_text().split("<!-- session -->")[1].split("<!-- /session -->")[0]
    return between.split("```python\n")[1].split("```")[0]


def test_every_page_of_the_docs_is_linked_and_every_link_leads_somewhere() -> None:
    text, docs = README.read_text(), README.parent / "docs"
    assert [page.name for page in docs.glob("*.md") if f"](docs/{page.name})" not in text] == []
    for page in (README, *docs.glob("*.md")):
        links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
        assert [link for link in links if not (page.parent / link).exists()] == [], page.name


def test_pages_name_no_option_that_a_command_lacks() -> None:
    unknown = []
    for page in (README, *(README.parent / "docs").glob("*.md")):
        for name, words in re.findall(r"shadowlab ([a-z-]+)([^`|\n#&]*)", page.read_text()):
            if command := main.commands.get(name):
                known = {word for option in command.params for word in option.opts}
                unknown += [(page.name, name, word) for word in re.findall(r"--[a-z-]+", words) if word not in known]
    assert unknown == []


def test_the_changelog_tells_of_every_verb() -> None:
    told = set(re.findall(r"`([a-z-]+)`", (README.parent / "CHANGELOG.md").read_text()))
    assert sorted(set(main.commands) - told) == []


def test_the_session_is_python_of_about_a_dozen_lines() -> None:
    compile(session(), "README.md", "exec")
    assert len(session().splitlines()) <= 16


@pytest.mark.slow
def test_the_session_prints_what_its_comments_say(told: Told, tmp_path: Path) -> None:
    """Every statement with a comment is run, and the record it made is compared with the comment, digests aside."""
    code, wanted = [], []
    for line in session().splitlines():
        statement, _, comment = line.partition("  # <")
        code.append(statement)
        if comment:
            wanted.append(DIGEST.sub(r"\1", f"<{comment}"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "demo-source").symlink_to(told.source)
    (tmp_path / "data").symlink_to(folder("data"))
    show = (
        "\nfor kind in (sl.Ingest, sl.Triage, sl.Replay, sl.Diagnosis, sl.Proposal, sl.GateReport, sl.Plan, sl.Report):"
    )
    script = "\n".join(code) + show + "\n    print(inv.latest(kind))\n"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert [DIGEST.sub(r"\1", line) for line in done.stdout.splitlines()[-8:]] == wanted
