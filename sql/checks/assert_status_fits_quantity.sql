-- FILLED means that the whole quantity executed, and the other way round; the words are those of the contract.
SELECT client_id, status, qty, filled_qty
FROM orders
WHERE
    (status = 'FILLED') <> (filled_qty >= qty)
    OR status NOT IN ('PENDING', 'UNKNOWN', 'OPEN', 'CANCELING', 'FILLED', 'CANCELED', 'REJECTED', 'EXPIRED')
ORDER BY client_id;
