-- A trade is stored once per side.
SELECT venue, symbol, trade_id, side, count(*) AS times
FROM fills
GROUP BY venue, symbol, trade_id, side
HAVING count(*) > 1;
