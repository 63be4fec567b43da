-- How often a bot's lots were stuck, and how its recoveries ended.
SELECT
    CAST(recorded_at AS DATE) AS recorded_on,
    bot_id,
    count(*) FILTER (decision = 'STUCK') AS stuck,
    count(*) FILTER (decision IN ('RECOVERY_END', 'UNHEDGED')) AS recoveries_ended,
    count(*) FILTER (decision = 'RECOVERY_END' AND reason LIKE '%: recovered after %') AS recovered
FROM journal
WHERE decision IN ('STUCK', 'RECOVERY_END', 'UNHEDGED')
GROUP BY recorded_on, bot_id;
