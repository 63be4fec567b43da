-- report_metrics over all bots, one row per quote asset. The drawdown is that of their common equity: what all bots gained
-- and lost since their first samples, on top of what they began with. Mismatches of the account itself count here.
CREATE OR REPLACE VIEW report_portfolio AS
WITH firsts AS (
    SELECT bot_id, min_by(equity_began, recorded_on) AS began
    FROM drawdowns_daily
    GROUP BY bot_id
),
began AS (
    SELECT b.quote_asset, sum(f.began) AS began
    FROM firsts AS f
    JOIN bot_state AS b ON b.bot_id = f.bot_id
    GROUP BY b.quote_asset
),
climbed AS (
    SELECT p.quote_asset, b.began + p.gained AS equity, b.began + p.peak AS peak
    FROM portfolio_daily AS p
    JOIN began AS b ON b.quote_asset = p.quote_asset
    WHERE p.bot_id = ''
),
drawn AS (
    SELECT quote_asset, max(CAST(peak - equity AS DOUBLE) / CAST(peak AS DOUBLE)) FILTER (peak > 0) AS max_drawdown
    FROM climbed
    GROUP BY quote_asset
),
account AS (
    SELECT count(*) AS mismatches
    FROM incidents
    WHERE bot_id = '' AND (kind LIKE '%mismatch%' OR kind = 'foreign_trade')
),
worth AS (
    SELECT b.quote_asset, sum(m.equity) AS equity
    FROM marks AS m
    JOIN bot_state AS b ON b.bot_id = m.bot_id
    GROUP BY b.quote_asset
)
SELECT
    r.quote_asset,
    count(*) AS bots,
    sum(r.trades) AS trades,
    sum(r.won) AS won,
    sum(r.won) / nullif(sum(r.trades), 0) AS win_rate,
    CAST(sum(r.realized) AS DOUBLE) / nullif(sum(r.trades), 0) AS average_profit,
    sum(r.realized) AS realized,
    sum(r.floating) AS floating,
    sum(r.grid_profit) AS grid_profit,
    sum(r.fees) AS fees,
    sum(r.funding) AS funding,
    any_value(d.max_drawdown) AS max_drawdown,
    sum(r.exposure) AS exposure,
    CASE WHEN any_value(w.equity) > 0 THEN CAST(sum(r.exposure) AS DOUBLE) / CAST(any_value(w.equity) AS DOUBLE) END
        AS margin_use,
    sum(r.stuck) AS stuck,
    sum(r.stuck_now) AS stuck_now,
    sum(r.recovered) / nullif(sum(r.recoveries_ended), 0) AS recovery_success_rate,
    sum(r.mismatches) + any_value(a.mismatches) AS mismatches,
    sum(r.stops) AS stops,
    max(r.stop_sent_s) AS stop_sent_s,
    max(r.stop_done_s) AS stop_done_s
FROM report_metrics AS r
CROSS JOIN account AS a
LEFT JOIN drawn AS d ON d.quote_asset = r.quote_asset
LEFT JOIN worth AS w ON w.quote_asset = r.quote_asset
GROUP BY r.quote_asset
ORDER BY r.quote_asset;
