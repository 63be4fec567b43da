-- The worth of each bot at the day's last sample, and the least of the day.
SELECT
    CAST(recorded_at AS DATE) AS recorded_on,
    CAST(ts AS DATE) AS day,
    bot_id,
    max(ts) AS sampled_at,
    max_by(equity, ts) AS equity_end,
    min(equity) AS equity_min
FROM equity
GROUP BY recorded_on, day, bot_id;
