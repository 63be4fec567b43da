-- Every lot, open ones first. average_price, value and unrealized are for reading (DOUBLE); sums of money are in
-- report_bots. value is what is left at the bot's last price.
-- age_s is how long a lot has been held at that price's time, or was held until it was closed.
-- Two halves, so that WHERE standing opens no past day.
CREATE OR REPLACE VIEW report_lots AS
SELECT
    l.bot_id,
    l.lot_id,
    true AS standing,
    l.venue,
    l.symbol,
    l.side,
    l.opened_at,
    l.updated_at,
    l.opened_qty,
    l.qty,
    l.cost,
    CASE WHEN l.qty > 0 THEN CAST(l.cost AS DOUBLE) / CAST(l.qty AS DOUBLE) END AS average_price,
    CAST(m.price AS DOUBLE) * CAST(l.qty AS DOUBLE) AS value,
    (CAST(m.price AS DOUBLE) * CAST(l.qty AS DOUBLE) - CAST(l.cost AS DOUBLE)) * CASE l.side WHEN 'buy' THEN 1 ELSE -1 END
        AS unrealized,
    l.realized,
    l.grid_profit,
    l.fees,
    l.exits,
    epoch(m.price_ts - l.opened_at) AS age_s
FROM lots_open AS l
LEFT JOIN marks AS m ON m.bot_id = l.bot_id
UNION ALL
SELECT
    l.bot_id,
    l.lot_id,
    false AS standing,
    l.venue,
    l.symbol,
    l.side,
    l.opened_at,
    l.updated_at,
    l.opened_qty,
    l.qty,
    l.cost,
    CASE WHEN l.qty > 0 THEN CAST(l.cost AS DOUBLE) / CAST(l.qty AS DOUBLE) END AS average_price,
    CAST(m.price AS DOUBLE) * CAST(l.qty AS DOUBLE) AS value,
    (CAST(m.price AS DOUBLE) * CAST(l.qty AS DOUBLE) - CAST(l.cost AS DOUBLE)) * CASE l.side WHEN 'buy' THEN 1 ELSE -1 END
        AS unrealized,
    l.realized,
    l.grid_profit,
    l.fees,
    l.exits,
    epoch(l.updated_at - l.opened_at) AS age_s
FROM lots AS l
LEFT JOIN marks AS m ON m.bot_id = l.bot_id
WHERE l.qty = 0
ORDER BY standing DESC, opened_at, bot_id, lot_id;
