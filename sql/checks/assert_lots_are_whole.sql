-- A lot never holds less than nothing or more than it opened with, and costs nothing once it is closed.
SELECT bot_id, lot_id, opened_qty, qty, cost
FROM lots
WHERE qty < 0 OR qty > opened_qty OR cost < 0 OR (qty = 0 AND cost <> 0)
ORDER BY bot_id, lot_id;
