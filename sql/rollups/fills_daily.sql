-- Executions by the day they happened on, market, asset and rate of the fee. unpriced: fees without a rate.
SELECT
    CAST(recorded_at AS DATE) AS recorded_on,
    CAST(ts AS DATE) AS day,
    bot_id,
    venue,
    symbol,
    fee_asset,
    maker,
    count(*) AS fills,
    sum(quote_qty) AS volume_quote,
    sum(realized) AS realized,
    sum(fee) AS fee,
    sum(fee_quote) AS fee_quote,
    count(*) FILTER (fee_quote IS NULL) AS unpriced
FROM fills
GROUP BY recorded_on, day, bot_id, venue, symbol, fee_asset, maker;
