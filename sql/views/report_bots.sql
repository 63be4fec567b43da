-- One row per bot: how far it may act, what works of what it wants, what it holds, and what it has earned (quote).
-- unrealized and net_pnl are valued at last_price, read at price_ts: show their age beside them.
CREATE OR REPLACE VIEW report_bots AS
WITH level_counts AS (
    SELECT
        bot_id,
        count(*) AS levels,
        count(*) FILTER (phase NOT IN ('Waiting', 'PENDING_ENTRY', 'COMPLETED')) AS levels_wanted,
        count(*) FILTER (state IN ('OPEN_ORDER_PLACED', 'CLOSE_ORDER_PLACED', 'PLACED_ENTRY', 'PLACED_EXIT'))
            AS levels_working
    FROM levels
    GROUP BY bot_id
),
order_counts AS (
    SELECT
        bot_id,
        count(*) AS orders_live,
        count(*) FILTER (status IN ('PENDING', 'UNKNOWN')) AS orders_uncertain
    FROM orders_live
    GROUP BY bot_id
)
SELECT
    b.bot_id,
    b.kind,
    b.venue,
    b.symbol,
    b.quote_asset,
    b.mode,
    b.mode_reason,
    b.started_at,
    coalesce(l.levels, 0) AS levels,
    coalesce(l.levels_wanted, 0) AS levels_wanted,
    coalesce(l.levels_working, 0) AS levels_working,
    coalesce(o.orders_live, 0) AS orders_live,
    coalesce(o.orders_uncertain, 0) AS orders_uncertain,
    b.capital_quote,
    b.inventory,
    b.cost AS exposure_at_cost,
    b.realized,
    m.unrealized,
    b.grid_profit,
    b.fees,
    b.funding,
    b.realized + coalesce(m.unrealized, 0) - b.fees + b.funding AS net_pnl,
    m.equity,
    b.round_trips,
    m.price AS last_price,
    m.price_ts,
    b.updated_at
FROM bot_state AS b
LEFT JOIN marks AS m ON m.bot_id = b.bot_id
LEFT JOIN level_counts AS l ON l.bot_id = b.bot_id
LEFT JOIN order_counts AS o ON o.bot_id = b.bot_id
ORDER BY b.bot_id;
