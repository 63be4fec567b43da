-- Every execution is booked, and nothing is booked as an execution that is none.
WITH booked AS (
    SELECT venue, ref, count(DISTINCT txn_id) AS times FROM ledger WHERE kind = 'fill' GROUP BY venue, ref
),
traded AS (
    SELECT venue, symbol || '#' || trade_id AS ref, count(*) AS times FROM fills GROUP BY venue, symbol, trade_id
)
SELECT coalesce(b.venue, t.venue) AS venue, coalesce(b.ref, t.ref) AS ref, t.times AS traded, b.times AS booked
FROM booked AS b
FULL JOIN traded AS t ON t.venue = b.venue AND t.ref = b.ref
WHERE b.times IS DISTINCT FROM t.times
ORDER BY venue, ref;
