-- What was paid in fees, by bot, asset and side of the book. `fee` is in its asset, `fee_quote` in quote at the rate stored with each
-- trade; `unpriced` counts trades whose fee had no rate and is missing from fee_quote. bps is of the value traded (DOUBLE).
CREATE OR REPLACE VIEW report_fees AS
SELECT
    bot_id,
    venue,
    fee_asset,
    maker,
    count(*) AS trades,
    sum(fee) AS fee,
    sum(fee_quote) AS fee_quote,
    count(*) FILTER (fee_quote IS NULL) AS unpriced,
    sum(quote_qty) AS volume_quote,
    CAST(sum(fee_quote) AS DOUBLE) / CAST(sum(quote_qty) AS DOUBLE) * 10000 AS bps
FROM fills
GROUP BY bot_id, venue, fee_asset, maker
ORDER BY bot_id, venue, fee_asset, maker;
