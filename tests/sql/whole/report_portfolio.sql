-- The same as sql/views/report_portfolio.sql, from every row there is: what the sums of past days must come to.
-- report_metrics over all bots, one row per quote asset. The drawdown is that of their common equity: what all bots gained
-- and lost since their first samples, on top of what they began with. Mismatches of the account itself count here.
WITH moved AS (
    SELECT
        b.quote_asset,
        e.ts,
        e.equity - lag(e.equity) OVER (PARTITION BY e.bot_id ORDER BY e.ts) AS change,
        first_value(e.equity) OVER (PARTITION BY e.bot_id ORDER BY e.ts) AS began,
        row_number() OVER (PARTITION BY e.bot_id ORDER BY e.ts) AS n
    FROM equity AS e
    JOIN bot_state AS b ON b.bot_id = e.bot_id
),
began AS (
    SELECT quote_asset, sum(began) AS began FROM moved WHERE n = 1 GROUP BY quote_asset
),
summed AS (
    SELECT quote_asset, ts, sum(change) AS change FROM moved GROUP BY quote_asset, ts
),
curve AS (
    SELECT
        s.quote_asset,
        s.ts,
        b.began + coalesce(sum(s.change) OVER (PARTITION BY s.quote_asset ORDER BY s.ts), 0) AS equity
    FROM summed AS s
    JOIN began AS b ON b.quote_asset = s.quote_asset
),
climbed AS (
    SELECT
        quote_asset,
        equity,
        max(equity) OVER (PARTITION BY quote_asset ORDER BY ts) AS peak
    FROM curve
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
