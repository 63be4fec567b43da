-- The moments at which a bot was stopped.
SELECT DISTINCT
    CAST(recorded_at AS DATE) AS recorded_on,
    bot_id,
    ts AS stopped_at
FROM journal
WHERE decision IN ('STOP_LOSS', 'TRAILING_STOP', 'STOP_PRICE', 'BOT_STOP_LOSS');
