"""A service's repository is read, never written and never trusted."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from shadowlab import errors
from shadowlab.source import Service, Source, open_source, parse_service

TOML = '[service]\nname = "shop"\nentrypoint = "app:app"\nframes = ["/srv/shop/"]\n'


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=shop team", "-c", "user.email=shop@example.invalid"]
    subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True)


@pytest.fixture
def shop(tmp_path: Path) -> Source:
    """A repository of three commits."""
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for name, text in (("shadowlab.toml", TOML), ("app.py", "one\n"), ("name with\nnewline.py", "two\n")):
        (folder / name).write_text(text)
        git(folder, "add", "-A")
        git(folder, "commit", "-m", f"Add {name.split()[0]}")
    return open_source(folder)


def test_commits_between_two_revisions_come_oldest_first(shop: Source) -> None:
    commits = shop.commits("HEAD~2", "HEAD")
    assert [c.subject for c in commits] == ["Add app.py", "Add name"]
    assert [c.files for c in commits] == [("app.py",), ("name with\nnewline.py",)]
    assert commits[1].parent == commits[0].revision


def test_a_checked_out_tree_is_private_and_goes_away(shop: Source) -> None:
    with shop.checked_out("HEAD~1") as tree:
        (tree / "app.py").write_text("changed\n")
        assert sorted(p.name for p in tree.iterdir()) == ["app.py", "shadowlab.toml"]
    assert not tree.exists()
    assert (shop.path / "app.py").read_text() == "one\n"


def test_the_page_for_newcomers_shows_a_description_that_is_read() -> None:
    page = (Path(__file__).parent.parent / "docs" / "service.md").read_text()
    told = page.split("```toml\n")[1].split("```")[0]
    assert parse_service(told, where="docs/service.md").tests == "python -m pytest -q tests"
    assert tomllib.loads(told)["service"].keys() <= set(Service.__struct_fields__)


def test_the_service_describes_itself(shop: Source) -> None:
    service = shop.service("HEAD")
    assert (service.name, service.entrypoint, service.frames) == ("shop", "app:app", ("/srv/shop/",))


@pytest.mark.parametrize(
    ("toml", "wrong"),
    [("[service]\nname = 3", "name"), ("[service]\nname = 'x'", "entrypoint"), ("[service", "shadowlab.toml of")],
)
def test_a_wrong_description_is_named(shop: Source, toml: str, wrong: str) -> None:
    (shop.path / "shadowlab.toml").write_text(toml)
    git(shop.path, "commit", "-am", "Break it")
    with pytest.raises(errors.SourceError, match=wrong):
        shop.service("HEAD")


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path, shop: Source) -> None:
    with pytest.raises(errors.SourceError, match="not the top of a git repository"):
        open_source(tmp_path)
    with pytest.raises(errors.SourceError, match="is no folder"):
        open_source(tmp_path / "nowhere")
    (shop.path / "below").mkdir()
    with pytest.raises(errors.SourceError, match="not the top of a git repository"):
        open_source(shop.path / "below")


@pytest.mark.parametrize("name", ["nope", "--output=x", "HEAD~99", ""])
def test_a_revision_that_is_not_there_is_refused(shop: Source, name: str) -> None:
    with pytest.raises(errors.SourceError, match="no such revision"):
        shop.revision(name)


def test_a_trees_own_git_configuration_runs_nothing(shop: Source) -> None:
    trap = shop.path.parent / "trap"
    for key in ("core.fsmonitor", "diff.external", "core.pager", "core.sshCommand"):
        git(shop.path, "config", key, f"touch {trap}")
    (shop.path / ".gitattributes").write_text("*.py diff=trap\n")
    git(shop.path, "config", "diff.trap.textconv", f"touch {trap}; cat")
    shop.diff("HEAD~1", "HEAD")
    shop.commits("HEAD~2", "HEAD")
    with shop.checked_out("HEAD"):
        assert not trap.exists()
