-- What was booked on each account.
SELECT
    CAST(recorded_at AS DATE) AS recorded_on,
    venue,
    account,
    asset,
    sum(amount) AS amount,
    max(ts) AS booked_at
FROM ledger
GROUP BY recorded_on, venue, account, asset;
