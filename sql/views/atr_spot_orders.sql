-- Spot orders of ATR grids, in the words of the exchange, with what their executions realised and paid (before fees).
CREATE OR REPLACE VIEW atr_spot_orders AS
WITH done AS (
    SELECT client_id, sum(quote_qty) AS quote_qty, sum(realized) AS realized, sum(fee_quote) AS fees
    FROM fills
    GROUP BY client_id
)
SELECT
    o.bot_id,
    CAST(regexp_extract(o.leg_id, '^[a-z](\d+)-', 1) AS INTEGER) AS grid_id,
    o.symbol,
    o.exchange_id AS order_id,
    o.client_id AS client_order_id,
    o.price,
    o.qty AS orig_qty,
    o.filled_qty AS executed_qty,
    coalesce(d.quote_qty, 0) AS cummulative_quote_qty,
    o.status,
    CASE WHEN o.type = 'market' THEN 'IOC' ELSE 'GTC' END AS time_in_force,
    o.type,
    o.side,
    o.stop_price,
    o.status IN ('OPEN', 'CANCELING') AS is_working,
    d.realized AS realized_pnl_usdt,
    coalesce(d.fees, 0) AS fees_usdt,
    o.reason,
    o.created_at,
    o.updated_at
FROM orders AS o
INNER JOIN bot_state AS b ON b.bot_id = o.bot_id
LEFT JOIN done AS d ON d.client_id = o.client_id
WHERE b.kind = 'atr_grid' AND NOT contains(o.symbol, ':')
ORDER BY o.created_at, o.client_id;
