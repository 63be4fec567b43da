-- Every execution belongs to an order of ours or is marked external, and agrees with its order in leg, side and symbol.
-- Liquidations, deleveraging and settlements are the exchange's own orders; it marks them so.
SELECT f.venue, f.symbol, f.trade_id, f.client_id, f.bot_id, o.client_id AS order_found
FROM fills AS f
LEFT JOIN orders AS o ON o.client_id = f.client_id
WHERE
    f.bot_id <> 'external'
    AND NOT (
        o.client_id IS NULL
        AND (
            starts_with(f.client_id, 'autoclose-')
            OR starts_with(f.client_id, 'adl_autoclose')
            OR starts_with(f.client_id, 'settlement_autoclose-')
        )
    )
    AND (
        o.client_id IS NULL
        OR o.bot_id <> f.bot_id
        OR o.leg_id <> f.leg_id
        OR o.side <> f.side
        OR o.symbol <> f.symbol
        OR o.venue <> f.venue
    )
ORDER BY f.venue, f.symbol, f.trade_id;
