-- The same as sql/views/report_metrics.sql, from every row there is: what the sums of past days must come to.
-- One row per bot: what its closed trades brought, what it risks, and how well it is kept (money in quote, exact).
-- A trade is a leg that closed inventory, however many executions that took; it wins if it realised more than zero before
-- fees. The stop's latencies are the worst ones: from the decision to the first order of the closing, and to its end.
WITH legs AS (
    SELECT bot_id, leg_id, sum(realized) AS realized
    FROM fills
    WHERE realized IS NOT NULL AND bot_id <> 'external'
    GROUP BY bot_id, leg_id
),
trades AS (
    SELECT
        bot_id,
        count(*) AS trades,
        count(*) FILTER (realized > 0) AS won,
        sum(realized) AS realized,
        sum(realized) FILTER (leg_id LIKE 'x%') AS by_exits
    FROM legs
    GROUP BY bot_id
),
paid AS (
    SELECT bot_id, sum(fee_quote) AS fees FROM fills GROUP BY bot_id
),
climbed AS (
    SELECT bot_id, equity, exposure, max(equity) OVER (PARTITION BY bot_id ORDER BY ts) AS peak FROM equity
),
sampled AS (
    SELECT
        bot_id,
        max(CAST(peak - equity AS DOUBLE) / CAST(peak AS DOUBLE)) FILTER (peak > 0) AS max_drawdown,
        max(exposure) AS exposure_max
    FROM climbed
    GROUP BY bot_id
),
noted AS (
    SELECT
        bot_id,
        count(*) FILTER (decision = 'STUCK') AS stuck,
        count(*) FILTER (decision IN ('RECOVERY_END', 'UNHEDGED')) AS recoveries_ended,
        count(*) FILTER (decision = 'RECOVERY_END' AND reason LIKE '%: recovered after %') AS recovered
    FROM journal
    WHERE decision IN ('STUCK', 'RECOVERY_END', 'UNHEDGED')
    GROUP BY bot_id
),
stops AS (
    SELECT DISTINCT bot_id, ts
    FROM journal
    WHERE decision IN ('STOP_LOSS', 'TRAILING_STOP', 'STOP_PRICE', 'BOT_STOP_LOSS')
),
closings AS (
    SELECT s.bot_id, s.ts, min(o.created_at) AS sent_at, max(o.updated_at) AS done_at
    FROM stops AS s
    JOIN orders AS o ON o.bot_id = s.bot_id AND o.created_at >= s.ts AND o.role <> 'entry' AND o.type = 'market'
    -- An order belongs to the last stop that was decided before it.
    WHERE NOT EXISTS (SELECT 1 FROM stops AS t WHERE t.bot_id = s.bot_id AND t.ts > s.ts AND t.ts <= o.created_at)
    GROUP BY s.bot_id, s.ts
),
stopped AS (
    SELECT
        bot_id,
        count(*) AS stops,
        max(epoch(sent_at - ts)) AS stop_sent_s,
        max(epoch(done_at - ts)) AS stop_done_s
    FROM closings
    GROUP BY bot_id
),
mismatched AS (
    SELECT bot_id, count(*) AS mismatches
    FROM incidents
    WHERE kind LIKE '%mismatch%' OR kind IN ('over_filled', 'foreign_trade')
    GROUP BY bot_id
)
SELECT
    b.bot_id,
    b.kind,
    b.quote_asset,
    coalesce(t.trades, 0) AS trades,
    coalesce(t.won, 0) AS won,
    t.won / t.trades AS win_rate,
    CAST(t.realized AS DOUBLE) / t.trades AS average_profit,
    coalesce(t.realized, 0) AS realized,
    coalesce(m.unrealized, 0) AS floating,
    coalesce(t.by_exits, 0) AS grid_profit,
    coalesce(p.fees, 0) AS fees,
    b.funding,
    e.max_drawdown,
    coalesce(m.exposure, 0) AS exposure,
    coalesce(e.exposure_max, 0) AS exposure_max,
    CASE WHEN m.equity > 0 THEN CAST(m.exposure AS DOUBLE) / CAST(m.equity AS DOUBLE) END AS margin_use,
    coalesce(n.stuck, 0) AS stuck,
    coalesce(n.stuck, 0) - coalesce(n.recoveries_ended, 0) AS stuck_now,
    coalesce(n.recoveries_ended, 0) AS recoveries_ended,
    coalesce(n.recovered, 0) AS recovered,
    n.recovered / nullif(n.recoveries_ended, 0) AS recovery_success_rate,
    coalesce(i.mismatches, 0) AS mismatches,
    coalesce(s.stops, 0) AS stops,
    s.stop_sent_s,
    s.stop_done_s
FROM bot_state AS b
LEFT JOIN trades AS t ON t.bot_id = b.bot_id
LEFT JOIN paid AS p ON p.bot_id = b.bot_id
LEFT JOIN sampled AS e ON e.bot_id = b.bot_id
LEFT JOIN noted AS n ON n.bot_id = b.bot_id
LEFT JOIN stopped AS s ON s.bot_id = b.bot_id
LEFT JOIN mismatched AS i ON i.bot_id = b.bot_id
LEFT JOIN marks AS m ON m.bot_id = b.bot_id
ORDER BY b.bot_id;
