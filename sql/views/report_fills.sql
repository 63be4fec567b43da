-- Every execution. level and cycle come from its leg; spread is the distance of an exit from its lot's average entry, as
-- a fraction of that entry (in the bot's favour above zero); realized is before fees.
CREATE OR REPLACE VIEW report_fills AS
WITH entries AS (
    SELECT bot_id, lot_id, CAST(sum(quote_qty) AS DOUBLE) / CAST(sum(qty) AS DOUBLE) AS entry_price
    FROM fills
    WHERE role = 'entry'
    GROUP BY bot_id, lot_id
)
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
    CASE
        WHEN f.role = 'exit'
            THEN (CAST(f.price AS DOUBLE) / e.entry_price - 1) * CASE f.side WHEN 'sell' THEN 1 ELSE -1 END
    END AS spread,
    f.maker,
    f.trade_id,
    f.client_id
FROM fills AS f
LEFT JOIN entries AS e ON e.bot_id = f.bot_id AND e.lot_id = f.lot_id
ORDER BY f.ts, f.trade_id;
