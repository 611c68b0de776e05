-- Rows that may be there already, or come again: they share ids and times with another. Only these are hashed in whole,
-- and of what is stored only the row groups of the same time are read.
CREATE OR REPLACE TEMP TABLE {signal}_suspects AS
WITH told AS (SELECT rowid AS pos, {key} AS key FROM {stage}),
     shared AS (SELECT key FROM told GROUP BY key HAVING count(*) > 1 UNION ALL {stored})
SELECT pos FROM told SEMI JOIN shared USING (key);
