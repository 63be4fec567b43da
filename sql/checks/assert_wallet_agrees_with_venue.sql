-- The books of a wallet equal a reading that is newer than they are, unless that is known: seen once, or an incident.
WITH booked AS (
    SELECT venue, asset, sum(amount) AS balance, max(ts) AS booked_at
    FROM ledger
    WHERE account = 'wallet'
    GROUP BY venue, asset
)
SELECT a.venue, a.asset, coalesce(b.balance, 0) AS booked, a.total AS reported, a.ts
FROM account_balance AS a
LEFT JOIN booked AS b ON b.venue = a.venue AND b.asset = a.asset
WHERE
    coalesce(b.balance, 0) <> a.total
    AND a.ts > coalesce(b.booked_at, TIMESTAMP '2000-01-01')
    AND NOT EXISTS (
        SELECT 1
        FROM incidents AS i
        WHERE i.kind = 'balance_mismatch' AND i.subject = a.venue || ' ' || a.asset AND i.resolved_at IS NULL
    )
    AND NOT EXISTS (
        SELECT 1
        FROM account_state AS s
        WHERE contains(CAST(s.suspects AS VARCHAR), '["' || a.venue || '", "' || a.asset || '"')
    )
ORDER BY a.venue, a.asset;
