"""Print the questions, compiled for DuckDB: what `duckdb.sql` must hold."""

from shadowlab.telemetry.questions.compiled import compiled

print(compiled(), end="")
