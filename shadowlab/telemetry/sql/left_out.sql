-- Of the rows that share ids and times with another, those whose whole content is stored or staged before them.
CREATE OR REPLACE TEMP TABLE {signal}_left_out AS
WITH ids AS MATERIALIZED (SELECT pos, row_id FROM ({ready})),
     there AS ({stored})
SELECT pos FROM ids WHERE row_id IN (SELECT row_id FROM there) OR pos NOT IN (SELECT min(pos) FROM ids GROUP BY row_id);
