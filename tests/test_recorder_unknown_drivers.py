"""A request that asks a database through a driver whose rows are not kept says so, by the driver's name."""

import subprocess
import sys

import pytest
from recorded import read

CLASSES = {
    "pymysql/connections.py": ["Connection"],
    "aiomysql/connection.py": ["Connection"],
    "MySQLdb/connections.py": ["Connection"],
    "mysql/connector/connection.py": ["MySQLConnection"],
    "mysql/connector/connection_cext.py": ["CMySQLConnection"],
    "oracledb/connection.py": ["Connection", "AsyncConnection"],
    "psycopg2/extensions.py": ["connection"],
}
CONNECT = """
from psycopg2 import extensions
def connect(dsn=None, connection_factory=None, cursor_factory=None, **named):
    return (connection_factory or extensions.connection)()
"""
SERVICE = """
import importlib, sys
import shadowlab_recorder
recorder = shadowlab_recorder.configure(sys.argv[1], share=1.0)
module, way = sys.argv[2].rsplit(".", 1)
made = getattr(importlib.import_module(module), way)()

@shadowlab_recorder.record
def idle():
    pass

@shadowlab_recorder.record
def asks():
    made.cursor()

asks() if sys.argv[3] == "asks" else idle()
assert recorder.flush()
"""


@pytest.fixture(scope="module")
def drivers(tmp_path_factory):
    """Packages with the names, classes and methods through which the drivers' statements begin."""
    folder = tmp_path_factory.mktemp("drivers")
    for name, kinds in CLASSES.items():
        for parent in list((folder / name).parents)[-2::-1]:
            if parent.is_relative_to(folder) and parent != folder:
                parent.mkdir(parents=True, exist_ok=True)
                (parent / "__init__.py").touch()
        text = "".join(f"class {kind}:\n    def cursor(self):\n        return 1\n" for kind in kinds)
        (folder / name).write_text(text)
    (folder / "psycopg2/__init__.py").write_text(CONNECT)
    (folder / "pyodbc.py").write_text("class Connection:\n    def cursor(self): return 1\nconnect = Connection\n")
    return folder


def truncated(tmp_path, drivers, made, what="asks"):
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, tmp_path, made, what],
        env={"PYTHONPATH": f"{drivers}:{':'.join(filter(None, sys.path))}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    [path] = tmp_path.glob("*.json")
    return read(path)["truncated"]


@pytest.mark.parametrize(
    ("made", "driver"),
    [
        ("pymysql.connections.Connection", "pymysql"),
        ("aiomysql.connection.Connection", "aiomysql"),
        ("MySQLdb.connections.Connection", "mysqlclient"),
        ("mysql.connector.connection.MySQLConnection", "mysql.connector"),
        ("mysql.connector.connection_cext.CMySQLConnection", "mysql.connector"),
        ("oracledb.connection.Connection", "oracledb"),
        ("oracledb.connection.AsyncConnection", "oracledb"),
        ("psycopg2.connect", "psycopg2"),
        ("pyodbc.connect", "pyodbc"),
    ],
)
def test_a_driver_that_is_not_kept_is_named(tmp_path, drivers, made, driver):
    assert truncated(tmp_path, drivers, made) == [f"database ({driver})"]


def test_a_request_that_asks_no_database_names_none(tmp_path, drivers):
    assert truncated(tmp_path, drivers, "psycopg2.connect", "idle") == []


def test_nobody_can_tell_which_request_uses_pyodbc_so_all_name_it(tmp_path, drivers):
    assert truncated(tmp_path, drivers, "pyodbc.connect", "idle") == ["database (pyodbc)"]
