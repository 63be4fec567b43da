-- Every level of every bot: whether an order works it, which one, and the reason where none does.
CREATE OR REPLACE VIEW report_levels AS
WITH resting AS (
    SELECT bot_id, leg_id, max_by(client_id, attempt) AS client_id, max_by(price, attempt) AS price
    FROM orders_live
    WHERE status = 'OPEN'
    GROUP BY bot_id, leg_id
)
SELECT
    l.bot_id,
    l.level,
    l.state,
    l.state IN ('OPEN_ORDER_PLACED', 'CLOSE_ORDER_PLACED', 'PLACED_ENTRY', 'PLACED_EXIT') AS working,
    l.reason,
    l.entry_price,
    l.exit_price,
    l.qty,
    l.held,
    l.cycle,
    coalesce(x.price, e.price) AS resting_price,
    coalesce(x.client_id, e.client_id) AS client_id,
    l.entry_leg,
    l.exit_leg,
    l.updated_at
FROM levels AS l
LEFT JOIN resting AS e ON e.bot_id = l.bot_id AND e.leg_id = l.entry_leg
LEFT JOIN resting AS x ON x.bot_id = l.bot_id AND x.leg_id = l.exit_leg
ORDER BY l.bot_id, l.level;
