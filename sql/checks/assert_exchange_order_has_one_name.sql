-- One order at an exchange has one client id of ours, and a client id works one leg in one attempt.
SELECT venue, symbol, exchange_id AS id, list(client_id ORDER BY client_id) AS used_by
FROM orders
WHERE exchange_id <> ''
GROUP BY venue, symbol, exchange_id
HAVING count(*) > 1
UNION ALL
SELECT venue, symbol, bot_id || '/' || leg_id || '/' || attempt AS id, list(client_id ORDER BY client_id) AS used_by
FROM orders
GROUP BY venue, symbol, bot_id, leg_id, attempt
HAVING count(*) > 1;
