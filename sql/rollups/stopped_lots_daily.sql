-- The lots of rolling grids whose stop loss fired: a row when it did, and one when the lot was gone.
-- earlier: bot_id VARCHAR, subject VARCHAR, ts TIMESTAMP, gone BOOLEAN
WITH fired AS (
    SELECT recorded_at, bot_id, subject, ts
    FROM journal
    WHERE decision = 'STOP_LOSS' AND subject LIKE 'lot %'
),
stopped AS (
    SELECT bot_id, subject FROM fired
    UNION
    SELECT bot_id, subject FROM earlier
),
closed AS (
    SELECT j.recorded_at, j.bot_id, j.subject, j.ts
    FROM journal AS j
    SEMI JOIN stopped AS s ON s.bot_id = j.bot_id AND s.subject = j.subject
    WHERE j.decision = 'GRID_TRADE' AND j.reason LIKE 'Action=close%'
)
SELECT CAST(recorded_at AS DATE) AS recorded_on, bot_id, subject, ts, false AS gone FROM fired
UNION ALL
SELECT CAST(recorded_at AS DATE), bot_id, subject, ts, true FROM closed;
