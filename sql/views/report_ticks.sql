-- Ticks by the hour: how many, how long they took, what they did.
CREATE OR REPLACE VIEW report_ticks AS
WITH timed AS (
    SELECT *, epoch(ended_at - started_at) * 1000 AS took_ms, date_trunc('hour', started_at) AS hour
    FROM ticks
)
SELECT
    hour,
    count(*) AS ticks,
    count(*) FILTER (quiet) AS quiet_ticks,
    quantile_cont(took_ms, 0.5) AS p50_ms,
    quantile_cont(took_ms, 0.99) AS p99_ms,
    max(took_ms) AS max_ms,
    sum(orders_placed) AS orders_placed,
    sum(orders_cancelled) AS orders_cancelled,
    sum(fills) AS fills,
    count(*) FILTER (note <> '') AS with_a_note
FROM timed
GROUP BY hour
ORDER BY hour;
