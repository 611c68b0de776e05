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
SELECT
  *
FROM (
  SELECT
    "t7"."caller",
    "t7"."callee",
    CAST(ROUND(SUM("t7"."weight"), 0) AS BIGINT) AS "calls",
    CAST(ROUND(COALESCE(SUM("t7"."weight") FILTER(WHERE
      "t7"."failed"), 0.0), 0) AS BIGINT) AS "errors",
    APPROX_QUANTILE(CAST("t7"."duration_ns" AS DOUBLE), 0.95) AS "p95_ns"
  FROM (
    SELECT
      *
    FROM (
      SELECT
        CASE
          WHEN "t3"."parent_span_id" IS NULL
          THEN NULLIF("t5"."calling", '')
          ELSE COALESCE(NULLIF("t5"."called", ''), "t5"."first")
        END AS "caller",
        "t3"."service" AS "callee",
        (
          "t3"."parent_span_id" IS NOT NULL
        )
        AND "t3"."service" IN ("t5"."first", "t5"."last") AS "own",
        "t3"."status" = 'error' AS "failed",
        "t3"."weight",
        "t3"."end_ns" - "t3"."start_ns" AS "duration_ns"
      FROM (
        SELECT
          "t0"."trace_id",
          "t0"."span_id",
          "t0"."parent_span_id",
          "t0"."service",
          "t0"."name",
          "t0"."kind",
          "t0"."start_ns",
          "t0"."end_ns",
          "t0"."status",
          "t0"."weight",
          COALESCE("t0"."parent_span_id", "t0"."span_id") AS "above"
        FROM "hops" AS "t0"
        WHERE
          COALESCE("t0"."end_ns", "t0"."start_ns") > {since_ns}
          AND "t0"."start_ns" <= {until_ns}
          AND "t0"."service" IS NOT NULL
          AND (
            (
              "t0"."parent_span_id" IS NOT NULL
            ) OR "t0"."kind" IN ('server', 'consumer')
          )
      ) AS "t3"
      INNER JOIN (
        SELECT
          "t2"."trace_id",
          "t2"."span_id",
          MIN("t2"."service") FILTER(WHERE
            "t2"."kind" IN ('server', 'consumer')) AS "called",
          MIN("t2"."service") FILTER(WHERE
            "t2"."kind" IN ('client', 'producer')) AS "calling",
          MIN("t2"."service") AS "first",
          MAX("t2"."service") AS "last"
        FROM (
          SELECT
            *
          FROM "hops" AS "t0"
          WHERE
            COALESCE("t0"."end_ns", "t0"."start_ns") > {since_ns}
            AND "t0"."start_ns" <= {until_ns}
            AND "t0"."service" IS NOT NULL
        ) AS "t2"
        GROUP BY
          1,
          2
      ) AS "t5"
        ON "t3"."trace_id" = "t5"."trace_id" AND "t3"."above" = "t5"."span_id"
    ) AS "t6"
    WHERE
      NOT (
        "t6"."own"
      ) AND "t6"."caller" <> "t6"."callee"
  ) AS "t7"
  GROUP BY
    1,
    2
) AS "t8"
ORDER BY
  "t8"."calls" DESC,
  "t8"."caller" ASC,
  "t8"."callee" ASC
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
