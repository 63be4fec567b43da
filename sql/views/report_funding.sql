-- Funding by bot, market and day (UTC), in its asset: net above zero was received. rate_mean is a fraction of notional a payment.
-- A payment for a position that several hold is shared among them; the share of what no bot held is in funding_shares alone.
-- inexact: how many of the shares are not certain, for a reason in their note.
CREATE OR REPLACE VIEW report_funding AS
SELECT
    s.bot_id,
    s.venue,
    s.symbol,
    CAST(s.ts AS DATE) AS day,
    p.asset,
    count(*) AS payments,
    coalesce(sum(s.amount) FILTER (s.amount > 0), 0) AS received,
    coalesce(-sum(s.amount) FILTER (s.amount < 0), 0) AS paid,
    sum(s.amount) AS net,
    avg(CAST(p.rate AS DOUBLE)) AS rate_mean,
    count(*) FILTER (s.note <> '') AS inexact
FROM funding_shares AS s
JOIN funding_payments AS p ON p.venue = s.venue AND p.symbol = s.symbol AND p.ref = s.ref
WHERE s.bot_id <> 'external'
GROUP BY s.bot_id, s.venue, s.symbol, day, p.asset
ORDER BY s.bot_id, day, s.venue, s.symbol;
