-- Every execution. level and cycle come from its leg; spread is the distance of an exit from the cost of what it closes, as
-- a fraction of that cost (in the bot's favour above zero); realized is before fees; day is the day it was recorded: a
-- question with day in its WHERE opens only those days. In no order: ask for one, with LIMIT.
CREATE OR REPLACE VIEW report_fills AS
SELECT
    f.ts,
    f.bot_id,
    f.venue,
    f.symbol,
    f.side,
    f.role,
    f.leg_id,
    TRY_CAST(regexp_extract(f.leg_id, '^[a-z](\d+)-(\d+)$', 1) AS INTEGER) AS level,
    TRY_CAST(regexp_extract(f.leg_id, '^[a-z](\d+)-(\d+)$', 2) AS INTEGER) AS cycle,
    f.price,
    f.qty,
    f.quote_qty,
    f.fee,
    f.fee_asset,
    f.fee_quote,
    f.realized,
    -- What a sale brought less its profit is what was paid; what a purchase cost plus its profit is what was received.
    CASE
        WHEN f.role = 'exit'
            THEN CAST(f.realized AS DOUBLE)
                / CAST(f.quote_qty - CASE f.side WHEN 'sell' THEN f.realized ELSE -f.realized END AS DOUBLE)
    END AS spread,
    f.maker,
    f.trade_id,
    f.client_id,
    f.day
FROM fills_by_day AS f;
