-- The books of a wallet equal what the venue last reported, unless an incident already says so.
WITH booked AS (
    SELECT venue, asset, sum(amount) AS balance FROM ledger WHERE account = 'wallet' GROUP BY venue, asset
)
SELECT a.venue, a.asset, coalesce(b.balance, 0) AS booked, a.total AS reported, a.ts
FROM account_balance AS a
LEFT JOIN booked AS b ON b.venue = a.venue AND b.asset = a.asset
WHERE
    coalesce(b.balance, 0) <> a.total
    AND NOT EXISTS (
        SELECT 1
        FROM incidents AS i
        WHERE i.kind = 'balance_mismatch' AND i.subject = a.venue || ' ' || a.asset AND i.resolved_at IS NULL
    )
ORDER BY a.venue, a.asset;
