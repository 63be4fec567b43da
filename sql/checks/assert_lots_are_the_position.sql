-- What a bot's open lots hold is what its ledger holds: base in the wallet on spot, the position on a swap.
WITH held AS (
    SELECT bot_id, sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) AS qty
    FROM lots
    WHERE qty > 0
    GROUP BY bot_id
),
booked AS (
    SELECT b.bot_id, sum(l.amount) AS qty
    FROM bot_state AS b
    INNER JOIN ledger AS l
        ON l.bot_id = b.bot_id
        AND l.venue = b.venue
        AND CASE
            WHEN contains(b.symbol, ':') THEN l.account = 'position' AND l.asset = b.symbol
            ELSE l.account = 'wallet' AND l.asset = split_part(b.symbol, '/', 1)
        END
    GROUP BY b.bot_id
)
SELECT b.bot_id, coalesce(h.qty, 0) AS lots, coalesce(k.qty, 0) AS ledger, b.inventory
FROM bot_state AS b
LEFT JOIN held AS h ON h.bot_id = b.bot_id
LEFT JOIN booked AS k ON k.bot_id = b.bot_id
WHERE coalesce(h.qty, 0) <> coalesce(k.qty, 0) OR coalesce(h.qty, 0) <> b.inventory
ORDER BY b.bot_id;
