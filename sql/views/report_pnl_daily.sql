-- Per bot and day (UTC): what was realised, paid and received, and the equity at the day's last sample (quote).
-- What others traded on the account, and the funding of what no bot held, is no bot's.
CREATE OR REPLACE VIEW report_pnl_daily AS
WITH traded AS (
    SELECT
        bot_id,
        day,
        CAST(sum(fills) AS BIGINT) AS fills,
        sum(volume_quote) AS volume_quote,
        coalesce(sum(realized), 0) AS realized,
        coalesce(sum(fee_quote), 0) AS fees
    FROM fills_daily
    WHERE bot_id <> 'external'
    GROUP BY bot_id, day
),
received AS (
    SELECT bot_id, CAST(ts AS DATE) AS day, sum(amount) AS funding
    FROM funding_shares
    WHERE bot_id <> 'external'
    GROUP BY bot_id, day
),
valued AS (
    SELECT bot_id, day, max_by(equity_end, sampled_at) AS equity_end, min(equity_min) AS equity_min
    FROM equity_daily
    GROUP BY bot_id, day
),
known AS (
    SELECT bot_id, day FROM traded
    UNION
    SELECT bot_id, day FROM received
    UNION
    SELECT bot_id, day FROM valued
)
SELECT
    k.bot_id,
    k.day,
    coalesce(t.fills, 0) AS fills,
    coalesce(t.volume_quote, 0) AS volume_quote,
    coalesce(t.realized, 0) AS realized,
    coalesce(t.fees, 0) AS fees,
    coalesce(r.funding, 0) AS funding,
    coalesce(t.realized, 0) - coalesce(t.fees, 0) + coalesce(r.funding, 0) AS net_realized,
    v.equity_end,
    v.equity_end - lag(v.equity_end) OVER (PARTITION BY k.bot_id ORDER BY k.day) AS equity_change,
    v.equity_min
FROM known AS k
LEFT JOIN traded AS t ON t.bot_id = k.bot_id AND t.day = k.day
LEFT JOIN received AS r ON r.bot_id = k.bot_id AND r.day = k.day
LEFT JOIN valued AS v ON v.bot_id = k.bot_id AND v.day = k.day
ORDER BY k.bot_id, k.day;
