"""What PostgreSQL draws by itself, held: `random()` and its like, and random UUIDs, come from the recorded seed.

The server's own functions get other names, and functions of the same name stand in their place, in `pg_catalog`, where
only the server's owner may change anything: whatever the service's search path is, it finds these. All connections draw
from one sequence, so that two of them never draw the same. After a `setseed` the server's own numbers follow.
"""

from __future__ import annotations

from typing import Any

_HELD = """
CREATE SCHEMA shadowlab_held;
CREATE SEQUENCE shadowlab_held.drawn;
GRANT USAGE ON SCHEMA shadowlab_held TO PUBLIC;
GRANT USAGE ON SEQUENCE shadowlab_held.drawn TO PUBLIC;

CREATE FUNCTION shadowlab_held.digits() RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE number text;
BEGIN
    IF current_setting('transaction_read_only') = 'on' THEN  -- where no sequence goes on, each connection counts
        number := coalesce(nullif(current_setting('shadowlab.read', true), ''), '0')::bigint + 1;
        PERFORM set_config('shadowlab.read', number, false);
        number := 'read ' || number;
    ELSE
        number := nextval('shadowlab_held.drawn');
    END IF;
    RETURN md5(coalesce(current_setting('shadowlab.seed', true), '') || ':' || number);
END $$;

CREATE FUNCTION shadowlab_held.turn() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF current_setting('shadowlab.seeded', true) IS DISTINCT FROM 'yes' THEN
        PERFORM shadowlab_setseed(
            ('x' || substr(shadowlab_held.digits(), 1, 13))::bit(52)::bigint / 2251799813685248::double precision - 1);
    END IF;
END $$;

ALTER FUNCTION pg_catalog.setseed(double precision) RENAME TO shadowlab_setseed;
CREATE FUNCTION pg_catalog.setseed(double precision) RETURNS void LANGUAGE plpgsql STRICT AS $$
BEGIN
    PERFORM pg_catalog.set_config('shadowlab.seeded', 'yes', false), pg_catalog.shadowlab_setseed($1);
END $$;
"""
_NUMBERS = """
SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_identity_arguments(p.oid),
    pg_get_function_result(p.oid), p.pronargs
FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('random', 'random_normal')
"""
_UUIDS = """
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
    AND p.proname IN ('gen_random_uuid', 'uuidv4') AND p.pronargs = 0
"""
_NUMBER = """
ALTER FUNCTION pg_catalog.{name}({identity}) RENAME TO shadowlab_{name};
CREATE FUNCTION pg_catalog.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql STRICT AS $$
BEGIN
    PERFORM shadowlab_held.turn();
    RETURN pg_catalog.shadowlab_{name}({given});
END $$;
"""
_UUID = """
ALTER FUNCTION pg_catalog.{name}() RENAME TO shadowlab_{name};
CREATE FUNCTION pg_catalog.{name}() RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE digits text := shadowlab_held.digits();
BEGIN
    RETURN overlay(overlay(digits PLACING '4' FROM 13) PLACING
        substr('89ab', (('x' || substr(digits, 17, 1))::bit(4)::int & 3) + 1, 1) FROM 17)::uuid;
END $$;
"""


def hold(connection: Any) -> None:
    """Hold what is drawn in the database of `connection`, which the server's owner has opened, and in its copies."""
    connection.execute(_HELD)
    for name, arguments, identity, result, count in connection.execute(_NUMBERS).fetchall():
        given = ", ".join(f"${n + 1}" for n in range(count))
        words = {"name": name, "arguments": arguments, "identity": identity, "result": result, "given": given}
        connection.execute(_NUMBER.format(**words))
    for (name,) in connection.execute(_UUIDS).fetchall():
        connection.execute(_UUID.format(name=name))
