-- What was paid in fees, by bot, asset and side of the book. `fee` is in its asset, `fee_quote` in quote at the rate stored with each
-- trade; `unpriced` counts trades whose fee had no rate and is missing from fee_quote. bps is of the value traded (DOUBLE).
CREATE OR REPLACE VIEW report_fees AS
SELECT
    bot_id,
    venue,
    fee_asset,
    maker,
    CAST(sum(fills) AS BIGINT) AS trades,
    sum(fee) AS fee,
    sum(fee_quote) AS fee_quote,
    CAST(sum(unpriced) AS BIGINT) AS unpriced,
    sum(volume_quote) AS volume_quote,
    CAST(sum(fee_quote) AS DOUBLE) / CAST(sum(volume_quote) AS DOUBLE) * 10000 AS bps
FROM fills_daily
GROUP BY bot_id, venue, fee_asset, maker
ORDER BY bot_id, venue, fee_asset, maker;
