-- No order executes more than its quantity.
SELECT client_id, qty, filled_qty
FROM orders
WHERE filled_qty > qty
ORDER BY client_id;
