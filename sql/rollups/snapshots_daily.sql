-- The newest snapshot of each executor.
SELECT
    CAST(recorded_at AS DATE) AS recorded_on,
    bot_id,
    tick_id,
    n,
    ts,
    reason
FROM journal
WHERE decision = 'SNAPSHOT'
QUALIFY row_number() OVER (PARTITION BY recorded_on, bot_id ORDER BY tick_id DESC, n DESC) = 1;
