-- What a bot has realised is the sum over its lots, and the sum over its executions.
WITH by_lots AS (
    SELECT bot_id, sum(realized) AS realized, sum(grid_profit) AS grid_profit FROM lots GROUP BY bot_id
),
by_fills AS (SELECT bot_id, sum(realized) AS realized FROM fills GROUP BY bot_id)
SELECT
    b.bot_id, b.realized, coalesce(l.realized, 0) AS lots, coalesce(f.realized, 0) AS fills, b.grid_profit,
    coalesce(l.grid_profit, 0) AS lots_grid_profit
FROM bot_state AS b
LEFT JOIN by_lots AS l ON l.bot_id = b.bot_id
LEFT JOIN by_fills AS f ON f.bot_id = b.bot_id
WHERE
    b.realized <> coalesce(l.realized, 0)
    OR b.realized <> coalesce(f.realized, 0)
    OR b.grid_profit <> coalesce(l.grid_profit, 0)
ORDER BY b.bot_id;
