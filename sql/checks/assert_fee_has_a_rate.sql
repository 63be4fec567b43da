-- Every fee of a bot has a value in quote, or an incident says that its rate is missing.
SELECT f.venue, f.symbol, f.trade_id, f.bot_id, f.fee, f.fee_asset
FROM fills AS f
WHERE
    f.bot_id <> 'external'
    AND f.fee <> 0
    AND f.fee_quote IS NULL
    AND NOT EXISTS (SELECT 1 FROM incidents AS i WHERE i.kind = 'fee_rate_missing' AND i.subject = f.fee_asset)
ORDER BY f.ts;
