-- The shares of a funding payment sum to what the exchange paid, and each is what its owner's ledger took.
WITH shared AS (
    SELECT venue, symbol, ref, sum(amount) AS amount FROM funding_shares GROUP BY venue, symbol, ref
),
booked AS (
    SELECT venue, ref, bot_id, sum(amount) AS amount
    FROM ledger
    WHERE kind = 'funding' AND account = 'wallet'
    GROUP BY venue, ref, bot_id
)
SELECT coalesce(p.venue, s.venue) AS venue, coalesce(p.ref, s.ref) AS ref, '' AS bot_id, p.amount AS told, s.amount AS shared
FROM funding_payments AS p
FULL JOIN shared AS s ON s.venue = p.venue AND s.symbol = p.symbol AND s.ref = p.ref
WHERE p.amount IS DISTINCT FROM s.amount
UNION ALL
SELECT coalesce(b.venue, s.venue), coalesce(b.ref, s.ref), coalesce(b.bot_id, s.bot_id), b.amount, s.amount
FROM booked AS b
FULL JOIN funding_shares AS s ON s.venue = b.venue AND s.ref = b.ref AND s.bot_id = b.bot_id
WHERE b.amount IS DISTINCT FROM s.amount
ORDER BY venue, ref, bot_id;
