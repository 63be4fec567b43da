-- Bots that trade beside their own market: how much of what they hold is hedged, and what the hedge gave back. All before fees and
-- funding, in quote. hedge_ratio is the hedge's quantity over the quantity held, opposite sides above zero; gave_back is the hedge's
-- profit as a fraction of the loss of the own market, NULL where that did not lose (both DOUBLE).
CREATE OR REPLACE VIEW report_hedges AS
WITH closed AS (
    -- What closed lots brought is what the executions that closed them realised; those of the past are summed by day.
    SELECT f.bot_id, f.venue = b.venue AND f.symbol = b.symbol AS own, f.symbol, sum(f.realized) AS realized
    FROM fills_daily AS f
    INNER JOIN bot_state AS b ON b.bot_id = f.bot_id
    GROUP BY f.bot_id, own, f.symbol
),
parts AS (
    SELECT bot_id, own, symbol, realized, 0 AS cost, 0 AS held, 1 AS sign, 0 AS qty FROM closed
    UNION ALL
    SELECT
        l.bot_id,
        l.venue = b.venue AND l.symbol = b.symbol AS own,
        l.symbol,
        0 AS realized,
        l.cost,
        CASE l.side WHEN 'buy' THEN l.qty ELSE -l.qty END AS held,
        CASE l.side WHEN 'buy' THEN 1 ELSE -1 END AS sign,
        l.qty
    FROM lots_open AS l
    INNER JOIN bot_state AS b ON b.bot_id = l.bot_id
),
sums AS (
    SELECT
        p.bot_id,
        string_agg(DISTINCT p.symbol, ', ') FILTER (NOT p.own) AS hedge_symbols,
        coalesce(sum(p.held) FILTER (p.own), 0) AS held,
        coalesce(sum(p.held) FILTER (NOT p.own), 0) AS hedged,
        coalesce(sum(p.realized) FILTER (p.own), 0) AS own_realized,
        coalesce(sum(p.realized) FILTER (NOT p.own), 0) AS hedge_realized,
        coalesce(
            sum((CAST(m.price AS DOUBLE) * CAST(p.qty AS DOUBLE) - CAST(p.cost AS DOUBLE)) * p.sign) FILTER (p.own), 0
        ) AS own_floating
    FROM parts AS p
    LEFT JOIN marks AS m ON m.bot_id = p.bot_id
    GROUP BY p.bot_id
    HAVING count(*) FILTER (NOT p.own) > 0
),
valued AS (
    SELECT s.*, CAST(m.unrealized AS DOUBLE) - s.own_floating AS hedge_floating
    FROM sums AS s
    LEFT JOIN marks AS m ON m.bot_id = s.bot_id
)
SELECT
    bot_id,
    hedge_symbols,
    held,
    hedged,
    CASE WHEN held <> 0 THEN -CAST(hedged AS DOUBLE) / CAST(held AS DOUBLE) END AS hedge_ratio,
    own_realized,
    own_floating,
    hedge_realized,
    hedge_floating,
    CASE
        WHEN CAST(own_realized AS DOUBLE) + own_floating < 0
            THEN -(CAST(hedge_realized AS DOUBLE) + hedge_floating) / (CAST(own_realized AS DOUBLE) + own_floating)
    END AS gave_back
FROM valued
ORDER BY bot_id;
