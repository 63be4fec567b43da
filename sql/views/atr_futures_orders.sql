-- The hedges' orders of ATR grids, in the words of the exchange. A purchase closes: its realised profit is before fees.
CREATE OR REPLACE VIEW atr_futures_orders AS
WITH done AS (
    SELECT client_id, sum(quote_qty) AS quote_qty, sum(realized) AS realized, sum(fee_quote) AS fees
    FROM fills
    GROUP BY client_id
)
SELECT
    o.bot_id,
    o.symbol,
    o.exchange_id AS order_id,
    o.client_id AS client_order_id,
    o.status,
    o.type,
    o.side,
    o.price,
    CASE WHEN o.filled_qty > 0 THEN CAST(d.quote_qty AS DOUBLE) / CAST(o.filled_qty AS DOUBLE) END AS avg_price,
    o.qty AS orig_qty,
    o.filled_qty AS executed_qty,
    coalesce(d.quote_qty, 0) AS cum_quote,
    CASE WHEN o.type = 'market' THEN 'IOC' ELSE 'GTC' END AS time_in_force,
    o.stop_price,
    o.status IN ('OPEN', 'CANCELING') AS is_working,
    'SHORT' AS position_side,
    o.reduce_only,
    d.realized AS realized_pnl_usdt,
    coalesce(d.fees, 0) AS fees_usdt,
    o.reason,
    o.created_at AS time,
    o.updated_at AS update_time
FROM orders AS o
INNER JOIN bot_state AS b ON b.bot_id = o.bot_id
LEFT JOIN done AS d ON d.client_id = o.client_id
WHERE b.kind = 'atr_grid' AND contains(o.symbol, ':')
ORDER BY o.created_at, o.client_id;
