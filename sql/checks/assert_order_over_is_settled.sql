-- An order that is over has all its trades here within ten minutes: else a trade was lost.
WITH newest AS (SELECT max(recorded_at) AS at FROM ticks)
SELECT o.client_id, o.status, o.filled_qty, o.traded_qty, o.updated_at
FROM orders AS o
CROSS JOIN newest AS n
WHERE
    o.status IN ('FILLED', 'CANCELED', 'REJECTED', 'EXPIRED')
    AND o.filled_qty <> o.traded_qty
    AND o.updated_at < n.at - INTERVAL 10 MINUTE
ORDER BY o.client_id;
