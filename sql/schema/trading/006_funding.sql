-- What each owner of a net position got of a funding payment; the shares of one sum to its amount. bot_id 'external': what no
-- bot held. note: why a share is not certain, else empty.
CREATE TABLE funding_shares (
    venue VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    ref VARCHAR NOT NULL,
    bot_id VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    amount DECIMAL(38, 18) NOT NULL,
    note VARCHAR NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    PRIMARY KEY (venue, symbol, ref, bot_id)
);

-- Payments of before: what the ledger took, by what each held when it was read. Several owners stood in one column there.
INSERT INTO funding_shares
SELECT
    p.venue, p.symbol, p.ref, l.bot_id, p.ts, sum(l.amount),
    CASE WHEN contains(p.bot_id, ',') THEN 'shared by what each held when the payment was read' ELSE '' END,
    p.recorded_at
FROM funding_payments AS p
JOIN ledger AS l ON l.venue = p.venue AND l.ref = p.ref AND l.kind = 'funding' AND l.account = 'wallet'
GROUP BY ALL;

-- From here on funding_payments.bot_id is the one owner, and empty where several share a payment.
UPDATE funding_payments SET bot_id = '' WHERE contains(bot_id, ',');
