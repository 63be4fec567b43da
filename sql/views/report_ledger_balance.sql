-- What the books say of every account and asset; for wallets beside what the venue last reported. difference must be
-- zero; it is NULL while the reading is not newer than the last booking, which it then cannot contain.
CREATE OR REPLACE VIEW report_ledger_balance AS
WITH booked AS (
    SELECT venue, account, asset, sum(amount) AS balance, max(booked_at) AS booked_at
    FROM ledger_daily
    GROUP BY venue, account, asset
)
SELECT
    coalesce(b.venue, a.venue) AS venue,
    coalesce(b.account, 'wallet') AS account,
    coalesce(b.asset, a.asset) AS asset,
    coalesce(b.balance, 0) AS balance,
    a.total AS reported,
    CASE WHEN a.ts > coalesce(b.booked_at, TIMESTAMP '2000-01-01') THEN a.total - coalesce(b.balance, 0) END AS difference,
    a.ts AS reported_at,
    b.booked_at
FROM booked AS b
FULL JOIN account_balance AS a ON a.venue = b.venue AND a.asset = b.asset AND b.account = 'wallet'
ORDER BY venue, account, asset;
