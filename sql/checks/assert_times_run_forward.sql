-- Times are between 2009 and a day after they were recorded, and an end is never before its beginning.
SELECT 'orders' AS place, client_id AS id, created_at AS ts, updated_at AS until_ts
FROM orders
WHERE updated_at < created_at - INTERVAL 1 MINUTE OR created_at < TIMESTAMP '2009-01-01'
    OR updated_at > recorded_at + INTERVAL 1 DAY
UNION ALL
SELECT 'fills', trade_id, ts, recorded_at
FROM fills
WHERE ts > recorded_at + INTERVAL 1 DAY OR ts < TIMESTAMP '2009-01-01'
UNION ALL
SELECT 'ledger', CAST(seq AS VARCHAR), ts, recorded_at
FROM ledger
WHERE ts > recorded_at + INTERVAL 1 DAY OR ts < TIMESTAMP '2009-01-01'
UNION ALL
SELECT 'ticks', CAST(tick_id AS VARCHAR), started_at, ended_at
FROM ticks
WHERE ended_at < started_at
UNION ALL
SELECT 'incidents', CAST(id AS VARCHAR), ts, resolved_at
FROM incidents
WHERE resolved_at < ts;
