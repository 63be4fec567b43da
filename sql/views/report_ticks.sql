-- Ticks by the hour: how many, how long they took, what they did. Of an hour whose ticks were recorded on two days, which
-- only midnight can part, p50_ms and p99_ms are those of the larger part; all other columns are of the whole hour.
CREATE OR REPLACE VIEW report_ticks AS
SELECT
    hour,
    CAST(sum(ticks) AS BIGINT) AS ticks,
    CAST(sum(quiet_ticks) AS BIGINT) AS quiet_ticks,
    max_by(p50_ms, ticks) AS p50_ms,
    max_by(p99_ms, ticks) AS p99_ms,
    max(max_ms) AS max_ms,
    sum(orders_placed) AS orders_placed,
    sum(orders_cancelled) AS orders_cancelled,
    sum(fills) AS fills,
    CAST(sum(with_a_note) AS BIGINT) AS with_a_note
FROM ticks_hourly
GROUP BY hour
ORDER BY hour;
