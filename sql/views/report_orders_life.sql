-- Every order from its decision to its end: how long it lived, how much of it traded, at which average price.
CREATE OR REPLACE VIEW report_orders_life AS
WITH traded AS (
    SELECT client_id, CAST(sum(quote_qty) AS DOUBLE) / CAST(sum(qty) AS DOUBLE) AS average_price, count(*) AS trades
    FROM fills
    GROUP BY client_id
)
SELECT
    o.created_at,
    o.bot_id,
    o.leg_id,
    o.attempt,
    o.role,
    o.side,
    o.type,
    o.price,
    o.qty,
    o.filled_qty,
    CAST(o.filled_qty AS DOUBLE) / CAST(o.qty AS DOUBLE) AS filled_fraction,
    t.average_price,
    coalesce(t.trades, 0) AS trades,
    o.status,
    o.reason,
    o.status IN ('PENDING', 'UNKNOWN', 'OPEN', 'CANCELING') AS live,
    epoch(o.updated_at - o.created_at) AS life_s,
    o.updated_at,
    o.client_id,
    o.exchange_id
FROM orders AS o
LEFT JOIN traded AS t ON t.client_id = o.client_id
ORDER BY o.created_at, o.client_id;
