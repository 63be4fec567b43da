-- Ticks by the hour. An hour whose ticks were recorded on two days stands in two rows.
SELECT
    CAST(recorded_at AS DATE) AS recorded_on,
    date_trunc('hour', started_at) AS hour,
    count(*) AS ticks,
    count(*) FILTER (quiet) AS quiet_ticks,
    quantile_cont(epoch(ended_at - started_at) * 1000, 0.5) AS p50_ms,
    quantile_cont(epoch(ended_at - started_at) * 1000, 0.99) AS p99_ms,
    max(epoch(ended_at - started_at) * 1000) AS max_ms,
    sum(orders_placed) AS orders_placed,
    sum(orders_cancelled) AS orders_cancelled,
    sum(fills) AS fills,
    count(*) FILTER (note <> '') AS with_a_note
FROM ticks
GROUP BY recorded_on, hour;
