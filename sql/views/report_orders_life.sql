-- Every order from its decision to its end: how long it lived, how much of it traded, at which average price. day is the day of
-- its last change: a question with day in its WHERE opens only those days. In no order: ask for one, with LIMIT.
CREATE OR REPLACE VIEW report_orders_life AS
SELECT
    created_at,
    bot_id,
    leg_id,
    attempt,
    role,
    side,
    type,
    price,
    qty,
    filled_qty,
    CAST(filled_qty AS DOUBLE) / CAST(qty AS DOUBLE) AS filled_fraction,
    average_price,
    trades,
    status,
    reason,
    status IN ('PENDING', 'UNKNOWN', 'OPEN', 'CANCELING') AS live,
    epoch(updated_at - created_at) AS life_s,
    updated_at,
    client_id,
    exchange_id,
    day
FROM orders_life;
