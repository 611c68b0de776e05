"""A replay runs on the versions that the service's lock pins, whatever is installed beside shadowlab."""

import dataclasses
import multiprocessing
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import orders
import pytest

from shadowlab import errors, replay
from shadowlab.case import open_case
from shadowlab.replay import environments
from shadowlab.replay.environments import building, interpreters, locks
from shadowlab.source import Service, parse_service

OTHER = "idna==3.7"
"""A small pure package in a version that is not installed here."""
APP = """\
import idna


def run(event):
    return {"idna": idna.__version__}
"""
TOML = '[service]\nname = "names"\nentrypoint = "app:run"\nkind = "function"\nlock = "lock.txt"\n'


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHADOWLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def service(**other: str) -> Service:
    return Service(name="names", entrypoint="app:run", kind="function", **other)


def tree(folder: Path, lock: str) -> Path:
    folder.mkdir()
    (folder / "lock.txt").write_text(lock)
    return folder


def test_a_lock_that_is_met_here_needs_nothing_built(tmp_path: Path, cache: Path) -> None:
    found = environments.of(tree(tmp_path / "tree", "httpx==0.28.1\nIdna==3.20\n"), service(lock="lock.txt"))
    assert found.interpreter.executable == sys.executable
    assert "has every version that lock.txt pins" in found.how
    assert {"httpx", "httpcore", "anyio", "idna"} <= set(found.packages)
    assert "duckdb" not in found.packages
    assert not cache.exists()


def test_the_digest_tells_the_packages_apart(tmp_path: Path) -> None:
    one, two = (
        environments.of(tree(tmp_path / name, lock), service(lock="lock.txt"))
        for name, lock in (("one", "httpx==0.28.1\n"), ("two", "fastapi==0.165.0\n"))
    )
    assert one.digest != two.digest
    assert one.digest == environments.of(tmp_path / "one", service(lock="lock.txt")).digest


def test_hashes_markers_comments_and_the_project_itself_are_read() -> None:
    lock = locks.read(
        "-e .\n--index-url https://example.invalid/simple\n# by a tool\n"
        "Foo_Bar[b,a]==1.0 \\\n    --hash=sha256:ab \\\n    --hash=sha256:cd\n    # via baz\n"
        "winonly==2 ; sys_platform == 'win32' --hash=sha256:ef\n",
        where="lock.txt",
    )
    assert lock.text() == "foo-bar[a,b]==1.0 --hash=sha256:ab --hash=sha256:cd\n"
    assert lock.hashed


@pytest.mark.parametrize(
    "line",
    [
        "httpx>=0.28",
        "httpx",
        "httpx==0.*",
        "-r other.txt",
        "httpx @ https://example.invalid/h.whl",
        "git+ssh://x/y",
        "../x",
        "httpx==1; os_name ~= 'x'",
    ],
)
def test_a_line_that_pins_no_version_is_refused(line: str) -> None:
    with pytest.raises(errors.SourceError, match="line 2 pins no version") as told:
        locks.read(f"# a comment\n{line}\n", where="lock.txt")
    assert "uv pip compile" in (told.value.hint or "")


@pytest.mark.parametrize(
    "name", ["../lock.txt", "/etc/passwd", "away", "https://example.invalid/x", "a\0b", "x" * 5_000]
)
def test_a_lock_lies_in_the_tree(tmp_path: Path, name: str) -> None:
    folder = tree(tmp_path / "tree", "")
    (folder / "away").symlink_to("/etc/passwd")
    with pytest.raises(errors.SourceError, match="is not a file of the tree"):
        environments.text(folder, name)


def test_a_lock_outside_of_the_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.SourceError, match="not a file of the tree"):
        environments.of(tree(tmp_path / "tree", ""), service(lock="../lock.txt"))


def test_without_an_index_the_error_says_what_to_do(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(errors.SourceError, match="the lock's 1 packages cannot be installed") as told:
        environments.of(tree(tmp_path / "tree", "idna==3.6\n"), service(lock="lock.txt"))
    assert "UV_FIND_LINKS" in (told.value.hint or "")
    assert [file.name for file in (cache / "environments").iterdir() if file.is_dir()] == []


def test_what_a_killed_builder_left_is_swept_and_the_folder_appears_whole(cache: Path) -> None:
    def make(place: Path) -> None:
        assert not list(place.parent.parent.glob(".*old"))
        place.mkdir()
        (place / "file").write_text("whole")

    place = building.kept("environments", ["key"], make)
    place.rename(place.with_name(f".{place.name}.old"))
    assert building.kept("environments", ["key"], make) == place
    assert sorted(file.name for file in place.parent.iterdir()) == [place.name, f"{place.name}.lock"]


def _build(cache: str, counted: str) -> None:
    os.environ["SHADOWLAB_CACHE"] = cache

    def make(place: Path) -> None:
        with open(counted, "a") as file:
            file.write("made\n")
        place.mkdir()

    building.kept("environments", ["shared"], make)


def test_builders_at_the_same_time_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    words = (str(tmp_path / "cache"), str(tmp_path / "counted"))
    builders = [context.Process(target=_build, args=words) for _ in range(4)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(60)
        assert builder.exitcode == 0
    assert (tmp_path / "counted").read_text() == "made\n"


def test_an_environment_command_runs_only_when_it_was_allowed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, place = f"env {sys.executable}", tree(tmp_path / "tree", "")
    with pytest.raises(errors.SourceError, match="runs outside of every sandbox") as told:
        environments.of(place, service(environment_command=command))
    assert environments.ALLOWED in (told.value.hint or "")
    monkeypatch.setenv(environments.ALLOWED, command)
    found = environments.of(place, service(environment_command=command))
    assert (found.how, found.interpreter.version) == (f"`{command}`", interpreters.here().version)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("echo python", "is no Python that answers"),
        ('echo \'{"version": "3.11.0"}\'', "is no Python that answers"),
        ("env 'python", "cannot be run"),
    ],
)
def test_a_command_that_is_no_python_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, told: str
) -> None:
    monkeypatch.setenv(environments.ALLOWED, command)
    with pytest.raises(errors.SourceError, match=told):
        environments.of(tree(tmp_path / "tree", ""), service(environment_command=command))


def test_a_package_that_was_removed_by_half_is_none(tmp_path: Path) -> None:
    (tmp_path / "gone-1.0.dist-info").mkdir()
    (tmp_path / "toy-1.0.dist-info").mkdir()
    (tmp_path / "toy-1.0.dist-info/METADATA").write_text("Name: toy\nVersion: 1.0\n")
    found = dataclasses.replace(interpreters.here(), path=(str(tmp_path),))
    assert interpreters.needed(found, [locks.Pin("toy", "1.0")]) == {"toy"}
    assert interpreters.digest(found, {"toy"})


def test_other_versions_than_recorded_are_named() -> None:
    assert environments.differences({"HTTPX": "0.28.1", "a.b": "1", "gone": "2"}, {"httpx": "0.27.2", "a-b": "1"}) == (
        "httpx 0.28.1, here 0.27.2",
    )


def wheel(folder: Path, version: str, *, name: str = "toy") -> None:
    """A wheel of one module, `toy` when nothing else is said."""
    folder.mkdir(exist_ok=True)
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in files) + f"{about}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as made:
        for name, text in {**files, f"{about}/RECORD": record}.items():
            made.writestr(name, text)


@pytest.fixture
def wheels(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No index: two versions of a small package in a folder."""
    wheel(tmp_path / "wheels", "1.0")
    wheel(tmp_path / "wheels", "2.0")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))  # else what anybody here ever asked an index for counts
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))


def test_each_revision_runs_on_its_own_lock(tmp_path: Path, wheels: None) -> None:
    app = "import toy\n\n\ndef run(event):\n    return toy.VERSION\n"
    source = orders.repository(tmp_path / "toys", {"shadowlab.toml": TOML, "lock.txt": "toy==1.0\n", "app.py": app})
    case = open_case(tmp_path / "case")
    (tmp_path / "event.json").write_text("{}")
    told = replay.from_event(case, tmp_path / "event.json", source=source)
    (source.path / "lock.txt").write_text("toy==2.0\n")
    git = ["git", "-C", str(source.path), "-c", "user.name=Test", "-c", "user.email=test@example.invalid"]
    subprocess.run([*git, "commit", "-qam", "Move on"], check=True)
    bodies, digests = [], set()
    for revision in ("HEAD~1", "HEAD"):
        with replay.tree_of(source, revision) as place, replay.Runner(place, service(lock="lock.txt")) as runner:
            run = runner.run(replay.load(case, told.id), repeats=1, perturb=False)[0]
            bodies.append(run.body)
            digests.add(runner.environment.digest)
    assert bodies == [b'"1.0"', b'"2.0"']
    assert len(digests) == 2


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", ["embedded", "bwrap"])
def test_a_service_is_replayed_with_the_version_that_its_lock_pins(tmp_path: Path, sandbox: str) -> None:
    source = orders.repository(tmp_path / "names", {"shadowlab.toml": TOML, "lock.txt": f"{OTHER}\n", "app.py": APP})
    case = open_case(tmp_path / "case")
    (tmp_path / "event.json").write_text("{}")
    told = replay.from_event(case, tmp_path / "event.json", source=source)
    done = replay.replay(case, [told.id], source=source, revision="HEAD", sandbox=sandbox)
    (run,) = done.runs
    expected = environments.of(source.path, parse_service(TOML, where="a test"))
    assert expected.packages == {"idna": "3.7"}
    assert done.environment == expected.digest
    assert run.error is None
    assert "built for it: 1 versions" in next(effect.how for effect in done.effects if effect.seam == "versions")
    with (
        replay.tree_of(source, "HEAD") as place,
        replay.Runner(place, source.service("HEAD"), sandbox=sandbox) as runner,
    ):
        (result,) = runner.run(replay.load(case, told.id), repeats=1, perturb=False)
    assert result.body == b'{"idna": "3.7"}'
