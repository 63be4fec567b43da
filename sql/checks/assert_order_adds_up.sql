-- traded_qty is the sum of an order's trades; once it is over and settled, filled_qty is that sum too.
WITH traded AS (SELECT client_id, sum(qty) AS qty FROM fills GROUP BY client_id)
SELECT o.client_id, o.status, o.filled_qty, o.traded_qty, coalesce(t.qty, 0) AS sum_of_fills
FROM orders AS o
LEFT JOIN traded AS t ON t.client_id = o.client_id
WHERE
    o.traded_qty <> coalesce(t.qty, 0)
    OR o.filled_qty < o.traded_qty
ORDER BY o.client_id;
