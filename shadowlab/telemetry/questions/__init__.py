"""What triage and people ask of telemetry, each question written once, for whatever engine the telemetry lies in.

A question is one ibis expression over the tables of `tables`. A case answers it in DuckDB, in text that ships compiled
(`duckdb.sql`), so that nobody waits for a compiler; a larger engine gets it compiled for its own dialect.
"""

from shadowlab.telemetry.questions.compiled import opened, statement
from shadowlab.telemetry.questions.expressions import LONGEST_NS, MINUTE_NS, Question, named

__all__ = ["LONGEST_NS", "MINUTE_NS", "Question", "named", "opened", "statement"]
