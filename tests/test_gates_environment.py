"""The gates run a service's own code, tests among it, on what its lock pins and not on what happens to be here."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import idna
import orders
import pytest
import small_service as small
from test_replay_environments import wheel

from shadowlab import errors, texts, views
from shadowlab.gates import bench, stage, static, suite
from shadowlab.records import GateReport, Verdict
from shadowlab.replay import environments
from shadowlab.replay.environments import layers
from shadowlab.rollout import pullrequest
from shadowlab.source import Service, Source

PINNED = "2.10"
TOML = """\
[service]
name = "names"
entrypoint = "app:app"
kind = "function"
tests = "python -m pytest -q tests"
lock = "pinned.txt"
"""
APP = """\
import idna


class App:
    def openapi(self):
        return {"paths": {}, "version": idna.VERSION}


app = App()


def run(event):
    return 1
"""
TESTS = f"""\
import subprocess
import sys

import idna


def test_the_pinned_version_is_there():
    assert idna.VERSION == {PINNED!r}


def test_so_it_is_in_a_process_of_its_own():
    told = subprocess.run([sys.executable, "-c", "import idna; print(idna.VERSION)"], capture_output=True, text=True)
    assert told.stdout.strip() == {PINNED!r}
"""
NEW = """\
from app import run


def test_two():
    assert run({}) == 2
"""
FILES = {"shadowlab.toml": TOML, "pinned.txt": f"idna=={PINNED}\n", "app.py": APP, "tests/test_app.py": TESTS}
DIFF = small.edit("app.py", "return 1", "return 2", text=APP) + small.new("tests/test_two.py", NEW)


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No index: packages of one module each in a folder, among them one that is here in another version.

    What is built of them is kept for all tests of this file.
    """
    assert idna.__version__ != PINNED
    folder = tmp_path_factory.mktemp("environments")
    for name, version in (("idna", PINNED), ("toy", "1.0"), ("toy", "2.0"), ("pluggy", "0.1")):
        wheel(folder / "wheels", version, name=name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHADOWLAB_CACHE", str(folder / "cache"))
        patch.setenv("UV_OFFLINE", "1")
        patch.setenv("UV_CACHE_DIR", str(folder / "uv"))  # else what anybody here ever asked an index for counts
        patch.setenv("UV_FIND_LINKS", str(folder / "wheels"))
        yield folder / "cache"


def prepared(source: Source, diff: str = DIFF, **more):
    candidate = small.candidate(diff, tests=("tests/test_two.py::test_two",))
    told = {"diagnosis": small.diagnosis(source), "replay": small.replay(source), **more}
    return bench.prepared(candidate, source=source, revision="HEAD", **told)


def test_tests_see_the_version_that_the_lock_pins(tmp_path: Path) -> None:
    source = orders.repository(tmp_path / "names", FILES)
    with prepared(source) as made:
        own, new, promised = stage._side_by_side(made, stage.RUN[2:], stage._Teller(None, 1))
        digest, said = stage._ran_on(made)
    assert (own.verdict, own.observed) == (Verdict.PASS, "2 of 2 pass, 2 passed before"), own.detail
    assert "1 versions that pinned.txt pins, with freezegun" in own.detail
    assert (new.verdict, promised.verdict) == (Verdict.PASS, Verdict.PASS), (new.detail, promised.detail)
    expected = environments.of(source.path, source.service("HEAD"))
    assert expected.packages == {"idna": PINNED}
    assert {own.environment, new.environment, promised.environment, digest} == {expected.digest}
    assert said.startswith(
        f"Python {expected.interpreter.version}, built for it: 1 versions that pinned.txt pins; for the"
    )


def test_without_a_lock_it_is_our_interpreter_and_nothing_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHADOWLAB_CACHE", str(tmp_path / "cache"))
    with prepared(small.build(tmp_path / "service"), small.FIX + small.TEST) as made:
        runtime = made.runtime(tests=True)
        assert stage._ran_on(made)[1].endswith("the interpreter that runs shadowlab: the service names no lock")
    assert runtime.environment.interpreter.executable == sys.executable
    assert (runtime.tools, runtime.pytest("-q")) == ((), ("-m", "pytest", "-q"))
    assert not (tmp_path / "cache").exists()


def test_the_environment_is_shown_wherever_the_gates_are(tmp_path: Path) -> None:
    report = GateReport(verdict=Verdict.FAIL, environment="ab" * 32, ran_on="Python 3.12.1, `nix <develop>`")
    assert texts.text(report).endswith("ran on Python 3.12.1, `nix <develop>`")
    assert "ran on Python 3.12.1, `nix &lt;develop&gt;`" in views.gates(report).html
    candidate, diagnosis = small.candidate(), small.diagnosis(small.build(tmp_path / "service"))
    assert "The service ran on Python 3.12.1" in pullrequest.body(report, candidate, diagnosis, None)


def test_static_checks_read_the_python_that_the_service_runs_on(tmp_path: Path) -> None:
    """`typing` has `override` from 3.12 on."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/app.py").write_text("from typing import override\n\nuse = override\n")
    older, newer = (static._mypy(tmp_path / "tree", ("3", minor)) for minor in ("11", "12"))
    assert (len(older), len(newer)) == (1, 0)
    with prepared(orders.repository(tmp_path / "names", FILES)) as made:
        spoken = static._spoken(made)
        assert ".".join(spoken) == ".".join(made.runtime().environment.interpreter.version.split(".")[:2])


def test_what_is_layered_hides_no_package_of_the_lock(tmp_path: Path) -> None:
    tree = orders.repository(tmp_path / "names", FILES).path
    service = Service(name="names", entrypoint="app:app", lock="pinned.txt")
    layer = layers.beside(layers.under(tree, service), tree, service)
    assert {"pytest", "freezegun", "pluggy"} <= set(layer.packages)
    assert "idna" not in layer.packages
    assert layer.place is not None
    assert not list(Path(layer.place).glob("idna*"))
    assert list(Path(layer.place).glob("_pytest/__pycache__/*.pyc"))


def test_tools_that_would_change_a_pin_are_refused_in_words(tmp_path: Path) -> None:
    source = orders.repository(tmp_path / "names", {**FILES, "pinned.txt": f"idna=={PINNED}\npluggy==0.1\n"})
    with prepared(source) as made:
        with pytest.raises(
            errors.SourceError, match=r"without a change to it: they want pluggy\S+, it has 0\.1"
        ) as told:
            made.runtime(tests=True)
        (gate,) = stage._answered(made, stage.RUN[2], stage._Teller(None, 1))
        digest, said = stage._ran_on(made)
    assert "tests_lock" in (told.value.hint or "")
    assert (gate.name, gate.verdict) == ("tests", Verdict.INCONCLUSIVE)
    assert "they want pluggy" in gate.detail
    assert digest
    assert "pinned.txt pins; the tests have none: the tests need pytest and freezegun beside" in said


def test_a_lock_of_the_tests_brings_what_they_need_besides(tmp_path: Path) -> None:
    toml = TOML + 'tests_lock = "tests.txt"\n'
    tests = f"import idna, toy\n\n\ndef test_both():\n    assert (toy.VERSION, idna.VERSION) == ('2.0', {PINNED!r})\n"
    files = {"shadowlab.toml": toml, "tests.txt": f"idna=={PINNED}\ntoy==2.0\n", "tests/test_app.py": tests}
    with prepared(orders.repository(tmp_path / "names", {**FILES, **files})) as made:
        runtime = made.runtime(tests=True)
        (gate,) = suite.tests(made)
    assert gate.verdict is Verdict.PASS, gate.detail
    assert "toy 2.0" in runtime.tools
    assert f"pytest {pytest.__version__}" in runtime.tools


def test_a_lock_of_the_tests_changes_no_pin(tmp_path: Path) -> None:
    files = {
        **FILES,
        "pinned.txt": "toy==1.0\n",
        "tests.txt": "toy==2.0\n",
        "app.py": "def run(event):\n    return 1\n",
    }
    tree = orders.repository(tmp_path / "names", files).path
    service = Service(name="names", entrypoint="app:run", lock="pinned.txt", tests_lock="tests.txt")
    with pytest.raises(
        errors.SourceError, match=r"would change what the service runs on: toy 2\.0 \(the .* has 1\.0\)"
    ):
        layers.beside(layers.under(tree, service), tree, service)


def test_a_lock_of_the_tests_that_our_own_versions_do_not_meet_has_an_environment_apart(tmp_path: Path) -> None:
    """A lock that is met here runs on our interpreter; what its tests pin otherwise could not be put behind ours."""
    (tmp_path / "pinned.txt").write_text("toy==1.0\n")
    (tmp_path / "tests.txt").write_text(f"idna=={PINNED}\n")
    service = Service(name="names", entrypoint="app:run", lock="pinned.txt", tests_lock="tests.txt")
    found = layers.under(tmp_path, service)
    assert found.interpreter.executable != sys.executable
    assert layers.beside(found, tmp_path, service).packages["idna"] == PINNED


def test_a_lock_that_cannot_be_installed_leaves_the_gates_inconclusive(tmp_path: Path) -> None:
    source = orders.repository(tmp_path / "names", {**FILES, "pinned.txt": "idna==0.1\n"})
    with prepared(source) as made:
        gates = stage._side_by_side(made, stage.RUN[2:], stage._Teller(None, 1))
        digest, said = stage._ran_on(made)
    assert {gate.verdict for gate in gates} == {Verdict.INCONCLUSIVE}
    assert (digest, "cannot be installed" in said) == ("", True)


def test_a_module_may_be_called_as_one_that_only_we_have(tmp_path: Path) -> None:
    source = orders.repository(tmp_path / "names", FILES)
    with prepared(source, small.new("plotly.py", "X = 1\n") + small.new("idna.py", "X = 1\n")) as made:
        told = {part.change.path: (part.role.name, part.reason) for part in made.parts}
    assert told == {"plotly.py": ("CHANGE", ""), "idna.py": ("JUDGE", "hides the module idna")}


def test_the_environment_s_own_programs_come_first(tmp_path: Path) -> None:
    tests = "import shutil, sys, os\n\n\ndef test_python():\n    assert os.path.dirname(shutil.which('python')) == \\\n"
    tests += "        os.path.dirname(sys.executable)\n"
    with prepared(orders.repository(tmp_path / "names", {**FILES, "tests/test_app.py": tests})) as made:
        (gate,) = suite.tests(made)
    assert gate.verdict is Verdict.PASS, gate.detail
    assert os.path.dirname(sys.executable) not in gate.detail
