"""What hostile code tries with the one way out that it has: its own PostgreSQL server, which is not behind its walls.

`run({"act": name})` returns what the act came to: `"refused: …"`, or a text that begins with `ALLOWED`. `host` may say
where the server is looked for.
"""

import psycopg

LIBC = "/lib/x86_64-linux-gnu/libc.so.6"


def run(event):
    words, *statements = ACTS[event["act"]]
    place = {"host": event.get("host", "/somewhere/else"), "dbname": "replay", "user": "shadowlab", **words}
    try:
        with psycopg.connect(**place, autocommit=True) as db:
            for statement in statements:
                db.execute(statement)
    except psycopg.Error as exc:
        return f"refused: {type(exc).__name__} {exc}"
    return "ALLOWED"


def asked(*statements):
    return ({}, *statements)


ACTS = {
    "the service's own work": asked("CREATE TABLE t (x text)", "INSERT INTO t VALUES ('a')", "SELECT * FROM t"),
    "a program run": asked("COPY (SELECT 1) TO PROGRAM 'id'"),
    "a program read": asked("CREATE TEMP TABLE t (x text)", "COPY t FROM PROGRAM 'id'"),
    "a file written": asked("COPY (SELECT 1) TO '/tmp/shadowlab-hostile'"),
    "a file read by COPY": asked("CREATE TEMP TABLE t (x text)", "COPY t FROM '/etc/passwd'"),
    "a file read": asked("SELECT pg_read_file('/etc/passwd')"),
    "a file read as bytes": asked("SELECT pg_read_binary_file('/etc/passwd')"),
    "a file looked at": asked("SELECT pg_stat_file('/etc/passwd')"),
    "a folder listed": asked("SELECT pg_ls_dir('/tmp')"),
    "the server's log listed": asked("SELECT pg_ls_logdir()"),
    "a file as a large object": asked("SELECT lo_import('/etc/passwd')"),
    "a large object as a file": asked("SELECT lo_export(lo_from_bytea(0, 'x'), '/tmp/shadowlab-hostile')"),
    "dblink": asked("CREATE EXTENSION dblink"),
    "postgres_fdw": asked("CREATE EXTENSION postgres_fdw"),
    "file_fdw": asked("CREATE EXTENSION file_fdw"),
    "adminpack": asked("CREATE EXTENSION adminpack"),
    "a foreign data wrapper": asked("CREATE FOREIGN DATA WRAPPER w"),
    "a subscription to another server": asked(
        "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 dbname=postgres' PUBLICATION p"
    ),
    "a function in C": asked(f"CREATE FUNCTION f() RETURNS int AS '{LIBC}', 'getpid' LANGUAGE c"),
    "a function of the server itself": asked("CREATE FUNCTION f() RETURNS int AS 'pg_backend_pid' LANGUAGE internal"),
    "an untrusted language": asked("CREATE EXTENSION plpython3u"),
    "a library loaded": asked(f"LOAD '{LIBC}'"),
    "a library loaded for others": asked(f"ALTER ROLE shadowlab SET session_preload_libraries = '{LIBC}'"),
    "the server's settings": asked("ALTER SYSTEM SET archive_command = 'id'"),
    "the settings read again": asked("SELECT pg_reload_conf()"),
    "who may come in": asked("SELECT * FROM pg_hba_file_rules"),
    "passwords": asked("SELECT rolpassword FROM pg_authid"),
    "another superuser": asked("CREATE ROLE a SUPERUSER LOGIN"),
    "a superuser of itself": asked("ALTER ROLE shadowlab SUPERUSER"),
    "somebody else by SET ROLE": asked("SET ROLE owner"),
    "somebody else by SESSION AUTHORIZATION": asked("SET SESSION AUTHORIZATION owner"),
    "the right to run programs": asked("GRANT pg_execute_server_program TO shadowlab"),
    "the right to read files": asked("GRANT pg_read_server_files TO shadowlab"),
    "a database": asked("CREATE DATABASE other"),
    "the template changed": asked("ALTER DATABASE held ALLOW_CONNECTIONS true"),
    "the template dropped": asked("DROP DATABASE held"),
    "a place of its own for tables": asked("CREATE TABLESPACE s LOCATION '/tmp'"),
    "an event trigger": asked(
        "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION e()",
    ),
    "the catalog written": asked("UPDATE pg_authid SET rolsuper = true"),
    "a function of the catalog dropped": asked("DROP FUNCTION pg_catalog.random()"),
    "a function of the catalog replaced": asked(
        "CREATE OR REPLACE FUNCTION pg_catalog.random() RETURNS float8 LANGUAGE sql AS 'SELECT 0.5::float8'"
    ),
    "what is drawn set back": asked("SELECT setval('shadowlab_held.drawn', 1)"),
    "the log of changes": asked("SELECT pg_switch_wal()"),
    "a replication slot": asked("SELECT pg_create_physical_replication_slot('s')"),
    "a limit lifted": asked("SET temp_file_limit = -1"),
    "temporary files without end": asked(
        "SET work_mem = '64kB'", "SELECT count(*) FROM (SELECT i FROM generate_series(1, 50000000) i OFFSET 0) x"
    ),
    "a table without end": asked(
        "CREATE TABLE big AS SELECT repeat(md5(i::text), 60) AS x FROM generate_series(1, 400000) i"
    ),
    "memory without end": asked(
        "SELECT length(array_to_string(array_agg(repeat('x', 100000000)), '')) FROM generate_series(1, 90)"
    ),
    "the server's own database": ({"dbname": "postgres"},),
    "the first template": ({"dbname": "template1"},),
    "the template of what is held": ({"dbname": "held"},),
    "the owner": ({"user": "owner"},),
    "the owner in its own database": ({"user": "owner", "dbname": "postgres"},),
    "a stream of changes": ({"replication": "true"}, "IDENTIFY_SYSTEM"),
}
MANY = """
DO $$ BEGIN
    FOR n IN 1..9 LOOP
        EXECUTE format('CREATE TABLE big_%s AS SELECT repeat(md5(i::text), 60) AS x'
            ' FROM generate_series(1, 40000) i', n);
    END LOOP;
END $$
"""
ACTS["many tables"] = asked(MANY, "SELECT pg_sleep(600)")
