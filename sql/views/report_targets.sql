-- Document 002's targets, held against every rolling_grid bot: one row per bot and target. The span is today and the seven
-- days before it, or all that is known. met: NULL where there were too few events to say (`samples_min`); what never happened
-- is met. value and bound have the unit of their row; comparison is what the value has to be of the bound.
CREATE OR REPLACE VIEW report_targets AS
WITH targets AS (
    SELECT *
    FROM (
        VALUES
            (1, 'win_rate', '>', 0.6, 'fraction', '7 days', 'trades', 20),
            (2, 'average_profit', '>', 0.005, 'fraction', '7 days', 'trades', 20),
            (3, 'max_drawdown', '<', 0.05, 'fraction', '7 days', 'days', 0),
            (4, 'margin_use', '<', 0.8, 'fraction', '7 days', 'days', 0),
            (5, 'margin_exhausted', '<', 1, 'incidents', '7 days', 'incidents', 0),
            (6, 'recovery_rate', '>', 0.9, 'fraction', 'all', 'recoveries', 10),
            (7, 'mismatches', '<', 1, 'incidents', '7 days', 'incidents', 0),
            (8, 'stop_time', '<', 30, 's', '7 days', 'stops', 0)
    ) AS t(place, target, comparison, bound, unit, span, counted, samples_min)
),
words AS (
    SELECT
        max(TRY_CAST(value AS TIMESTAMP)) FILTER (key = 'data_until') AS until,
        max(value) FILTER (key = 'leverage') AS leverage
    FROM meta
),
bots AS (
    SELECT
        b.bot_id,
        b.venue || ' ' || b.symbol AS market,
        w.until,
        CAST(w.until AS DATE) - 7 AS since,
        -- What its lots and entries may be worth: its margin times the leverage that the copy's words name.
        CAST(b.capital_quote AS DOUBLE) * coalesce(TRY_CAST(w.leverage::JSON ->> b.bot_id AS DOUBLE), 1) AS allocated
    FROM bot_state AS b
    CROSS JOIN words AS w
    WHERE b.kind = 'rolling_grid'
),
traded AS (
    SELECT b.bot_id, sum(t.trades) AS trades, sum(t.won) AS won
    FROM bots AS b
    JOIN trades_daily AS t ON t.bot_id = b.bot_id AND t.recorded_on >= b.since
    GROUP BY b.bot_id
),
closed AS (
    SELECT b.bot_id, CAST(sum(c.realized) AS DOUBLE) / nullif(CAST(sum(c.cost) AS DOUBLE), 0) AS profit
    FROM bots AS b
    JOIN closings_daily AS c ON c.bot_id = b.bot_id AND c.recorded_on >= b.since
    GROUP BY b.bot_id
),
drawn AS (
    SELECT
        b.bot_id,
        count(*) AS days,
        max(d.max_drawdown) AS max_drawdown,
        max(CAST(d.exposure_max AS DOUBLE) / b.allocated) AS margin_use
    FROM bots AS b
    JOIN drawdowns_daily AS d ON d.bot_id = b.bot_id AND d.recorded_on >= b.since
    GROUP BY b.bot_id
),
refused AS (
    SELECT b.bot_id, sum(r.times) AS times
    FROM bots AS b
    JOIN rejects_daily AS r ON r.bot_id = b.bot_id AND r.recorded_on >= b.since
    WHERE r.decision = 'REFUSED' AND r.reason LIKE 'funds: %'
    GROUP BY b.bot_id
),
told AS (
    SELECT
        b.bot_id,
        count(*) FILTER (i.kind IN ('liquidated', 'deleveraged')) AS liquidations,
        count(*) FILTER (i.kind LIKE '%mismatch%' OR i.kind IN ('over_filled', 'foreign_trade')) AS mismatches
    FROM bots AS b
    -- A swap's position is the account's: what differs at the bot's own market counts for the bot.
    JOIN incidents AS i ON i.bot_id = b.bot_id OR (i.bot_id = '' AND i.subject = b.market)
    WHERE i.ts >= b.since OR i.resolved_at IS NULL
    GROUP BY b.bot_id
),
recovered AS (
    SELECT bot_id, count(*) AS ended, count(*) FILTER (outcome IN ('recovered', 'closed', 'unhedged')) AS freed
    FROM recovery
    WHERE outcome <> ''
    GROUP BY bot_id
),
fired AS (
    SELECT b.bot_id, epoch(coalesce(min(g.ts), any_value(b.until)) - f.ts) AS lasted_s
    FROM bots AS b
    JOIN stopped_lots_daily AS f ON f.bot_id = b.bot_id AND NOT f.gone AND f.recorded_on >= b.since
    LEFT JOIN stopped_lots_daily AS g ON g.bot_id = f.bot_id AND g.subject = f.subject AND g.gone AND g.ts >= f.ts
    GROUP BY b.bot_id, f.subject, f.ts
),
stopped AS (
    SELECT bot_id, count(*) AS stops, max(lasted_s) AS worst_s
    FROM fired
    GROUP BY bot_id
),
measured AS (
    SELECT
        b.bot_id,
        t.*,
        CASE t.target
            WHEN 'win_rate' THEN w.won / nullif(w.trades, 0)
            WHEN 'average_profit' THEN c.profit
            WHEN 'max_drawdown' THEN d.max_drawdown
            WHEN 'margin_use' THEN d.margin_use
            WHEN 'margin_exhausted' THEN coalesce(f.times, 0) + coalesce(i.liquidations, 0)
            WHEN 'recovery_rate' THEN r.freed / nullif(r.ended, 0)
            WHEN 'mismatches' THEN coalesce(i.mismatches, 0)
            WHEN 'stop_time' THEN s.worst_s
        END AS value,
        coalesce(
            CASE t.counted
                WHEN 'trades' THEN w.trades
                WHEN 'days' THEN d.days
                WHEN 'recoveries' THEN r.ended
                WHEN 'stops' THEN s.stops
            END, 0
        ) AS samples
    FROM bots AS b
    CROSS JOIN targets AS t
    LEFT JOIN traded AS w ON w.bot_id = b.bot_id
    LEFT JOIN closed AS c ON c.bot_id = b.bot_id
    LEFT JOIN drawn AS d ON d.bot_id = b.bot_id
    LEFT JOIN refused AS f ON f.bot_id = b.bot_id
    LEFT JOIN told AS i ON i.bot_id = b.bot_id
    LEFT JOIN recovered AS r ON r.bot_id = b.bot_id
    LEFT JOIN stopped AS s ON s.bot_id = b.bot_id
)
SELECT
    bot_id,
    target,
    CAST(value AS DOUBLE) AS value,
    comparison,
    CAST(bound AS DOUBLE) AS bound,
    unit,
    CASE
        WHEN samples < samples_min THEN NULL
        WHEN value IS NULL THEN true
        WHEN comparison = '>' THEN CAST(value AS DOUBLE) > CAST(bound AS DOUBLE)
        ELSE CAST(value AS DOUBLE) < CAST(bound AS DOUBLE)
    END AS met,
    span,
    CAST(samples AS BIGINT) AS samples,
    counted,
    samples_min
FROM measured
ORDER BY bot_id, place;
