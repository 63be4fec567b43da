-- One row per bot: what its closed trades brought, what it risks, and how well it is kept (money in quote, exact).
-- A trade is a leg that closed inventory, however many executions that took; it wins if it realised more than zero before
-- fees. The stop's latencies are the worst ones: from the decision to the first order of the closing, and to its end.
CREATE OR REPLACE VIEW report_metrics AS
WITH trades AS (
    SELECT
        bot_id,
        CAST(sum(trades) AS BIGINT) AS trades,
        CAST(sum(won) AS BIGINT) AS won,
        sum(realized) AS realized,
        sum(by_exits) AS by_exits
    FROM trades_daily
    GROUP BY bot_id
),
paid AS (
    SELECT bot_id, sum(fee_quote) AS fees FROM fills_daily GROUP BY bot_id
),
sampled AS (
    SELECT bot_id, max(max_drawdown) AS max_drawdown, max(exposure_max) AS exposure_max
    FROM drawdowns_daily
    GROUP BY bot_id
),
noted AS (
    SELECT
        bot_id,
        CAST(sum(stuck) AS BIGINT) AS stuck,
        CAST(sum(recoveries_ended) AS BIGINT) AS recoveries_ended,
        CAST(sum(recovered) AS BIGINT) AS recovered
    FROM decisions_daily
    GROUP BY bot_id
),
closings AS (
    SELECT bot_id, stopped_at, min(sent_at) AS sent_at, max(done_at) AS done_at
    FROM stops_done_daily
    GROUP BY bot_id, stopped_at
),
stopped AS (
    SELECT
        bot_id,
        count(*) AS stops,
        max(epoch(sent_at - stopped_at)) AS stop_sent_s,
        max(epoch(done_at - stopped_at)) AS stop_done_s
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
