-- Quantities and prices are positive numbers. The columns are DECIMAL, so that none can be infinite or no number at all.
SELECT 'orders' AS place, client_id AS id, 'price or quantity' AS what
FROM orders
WHERE qty <= 0 OR filled_qty < 0 OR traded_qty < 0 OR price <= 0
UNION ALL
SELECT 'fills', trade_id, 'price or quantity'
FROM fills
WHERE qty <= 0 OR price <= 0
UNION ALL
SELECT table_name, column_name, data_type
FROM information_schema.columns
WHERE
    data_type IN ('DOUBLE', 'FLOAT', 'REAL')
    AND table_catalog = current_database()
    AND table_name IN (
        'orders', 'fills', 'ledger', 'lots', 'levels', 'bot_state', 'equity', 'marks', 'funding_payments',
        'funding_shares', 'account_balance'
    );
