-- Funding by bot, market and day (UTC), in its asset: net above zero was received. rate_mean is a fraction of notional a payment.
CREATE OR REPLACE VIEW report_funding AS
SELECT
    bot_id,
    venue,
    symbol,
    CAST(ts AS DATE) AS day,
    asset,
    count(*) AS payments,
    coalesce(sum(amount) FILTER (amount > 0), 0) AS received,
    coalesce(-sum(amount) FILTER (amount < 0), 0) AS paid,
    sum(amount) AS net,
    avg(CAST(rate AS DOUBLE)) AS rate_mean
FROM funding_payments
GROUP BY bot_id, venue, symbol, day, asset
ORDER BY bot_id, day, venue, symbol;
