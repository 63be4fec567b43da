-- At most one order of a leg may still trade.
SELECT bot_id, leg_id, list(client_id ORDER BY attempt) AS live
FROM orders
WHERE status IN ('PENDING', 'UNKNOWN', 'OPEN', 'CANCELING')
GROUP BY bot_id, leg_id
HAVING count(*) > 1
ORDER BY bot_id, leg_id;
