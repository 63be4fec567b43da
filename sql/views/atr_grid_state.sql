-- Levels of ATR grids as they are now: where each lies, whether it takes part (use_status), and the lot it holds.
CREATE OR REPLACE VIEW atr_grid_state AS
SELECT
    l.bot_id,
    b.symbol,
    l.level,
    l.cycle,
    CAST(l.data ->> 'price' AS DECIMAL(38, 18)) AS grid_price,
    CASE WHEN l.phase = 'Waiting' THEN 'N' ELSE 'Y' END AS use_status,
    CAST(l.data ->> 'spacing' AS DECIMAL(38, 18)) AS spacing,
    CAST(b.head -> 'layout' ->> 'base' AS DECIMAL(38, 18)) AS base_price,
    l.held,
    CASE WHEN l.phase = 'Holding' THEN l.entry_price END AS paid_price,
    CASE WHEN l.phase = 'Holding' THEN l.exit_price END AS target_price,
    l.state,
    l.reason,
    l.updated_at AS update_date
FROM levels AS l
INNER JOIN bot_state AS b ON b.bot_id = l.bot_id
WHERE b.kind = 'atr_grid' AND (l.data ->> 'is') IS NOT NULL
ORDER BY l.bot_id, grid_price DESC NULLS LAST, l.level;
