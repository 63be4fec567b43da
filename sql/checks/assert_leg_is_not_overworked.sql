-- The orders of a leg together never execute more than the leg was planned to be.
SELECT bot_id, leg_id, max(leg_qty) AS planned, sum(filled_qty) AS executed
FROM orders
GROUP BY bot_id, leg_id
HAVING sum(filled_qty) > max(leg_qty)
ORDER BY bot_id, leg_id;
