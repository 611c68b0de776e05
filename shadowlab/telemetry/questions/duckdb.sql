-- Compiled from `expressions.py`; `python -m shadowlab.telemetry.questions` writes it.
-- question: slots
SELECT
  "t1"."age_ns",
  COALESCE(SUM("t1"."weight") FILTER(WHERE
    "t1"."bad"), 0.0) AS "bad",
  SUM("t1"."weight") AS "total"
FROM (
  SELECT
    "t0"."bad",
    "t0"."weight",
    (
      {end_ns} - "t0"."at_ns"
    ) - (
      (
        {end_ns} - "t0"."at_ns"
      ) % {step_ns}
    ) AS "age_ns"
  FROM "requests" AS "t0"
  WHERE
    "t0"."at_ns" > {since_ns} AND "t0"."at_ns" <= {until_ns}
) AS "t1"
GROUP BY
  1
-- question: slots_of_services
SELECT
  "t1"."service",
  "t1"."age_ns",
  COALESCE(SUM("t1"."weight") FILTER(WHERE
    "t1"."bad"), 0.0) AS "bad",
  SUM("t1"."weight") AS "total"
FROM (
  SELECT
    "t0"."service",
    "t0"."bad",
    "t0"."weight",
    (
      {end_ns} - "t0"."at_ns"
    ) - (
      (
        {end_ns} - "t0"."at_ns"
      ) % {step_ns}
    ) AS "age_ns"
  FROM "requests" AS "t0"
  WHERE
    "t0"."at_ns" > {since_ns} AND "t0"."at_ns" <= {until_ns}
) AS "t1"
GROUP BY
  1,
  2
-- question: edges
WITH "t1" AS (
  SELECT
    *
  FROM "hops" AS "t0"
  WHERE
    COALESCE("t0"."end_ns", "t0"."start_ns") > {since_ns}
    AND "t0"."start_ns" <= {until_ns}
    AND "t0"."service" IS NOT NULL
)
SELECT
  *
FROM (
  SELECT
    "t5"."caller",
    "t5"."callee",
    CAST(ROUND(SUM("t5"."weight"), 0) AS BIGINT) AS "calls",
    CAST(ROUND(COALESCE(SUM("t5"."weight") FILTER(WHERE
      "t5"."failed"), 0.0), 0) AS BIGINT) AS "errors",
    APPROX_QUANTILE(CAST("t5"."duration_ns" AS DOUBLE), 0.95) AS "p95_ns"
  FROM (
    SELECT
      "t3"."service" AS "caller",
      "t4"."service" AS "callee",
      "t4"."status" = 'error' AS "failed",
      "t4"."weight",
      "t4"."end_ns" - "t4"."start_ns" AS "duration_ns"
    FROM "t1" AS "t3"
    INNER JOIN "t1" AS "t4"
      ON "t3"."trace_id" = "t4"."trace_id"
      AND "t3"."span_id" = "t4"."parent_span_id"
      AND "t3"."service" <> "t4"."service"
  ) AS "t5"
  GROUP BY
    1,
    2
) AS "t6"
ORDER BY
  "t6"."calls" DESC,
  "t6"."caller" ASC,
  "t6"."callee" ASC
-- question: apart
SELECT
  "t0"."attribute",
  "t0"."value",
  SUM(CASE WHEN "t0"."failing" THEN 1 ELSE 0 END) AS "failing",
  SUM(CASE WHEN "t0"."failing" THEN 0 ELSE 1 END) AS "passing",
  COALESCE(SUM("t0"."weight") FILTER(WHERE
    "t0"."failing"), 0.0) AS "failing_weight",
  COALESCE(SUM("t0"."weight") FILTER(WHERE
    NOT (
      "t0"."failing"
    )), 0.0) AS "passing_weight"
FROM "traits" AS "t0"
GROUP BY
  1,
  2
-- question: failing_traces
SELECT
  "t2"."trace_id",
  "t2"."span_id",
  "t2"."parent_span_id",
  "t2"."service",
  "t2"."name",
  "t2"."kind",
  "t2"."end_ns"
FROM "hops" AS "t2"
SEMI JOIN "errors" AS "t3"
  ON "t2"."trace_id" = "t3"."trace_id"
-- question: trace
SELECT
  *
FROM "spans" AS "t0"
ORDER BY
  "t0"."start_ns" ASC,
  "t0"."span_id" ASC
