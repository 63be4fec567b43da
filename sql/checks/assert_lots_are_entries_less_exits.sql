-- A bot's lots hold what its executions and what it took over left: entries less everything that closed, net of base fees.
WITH net AS (
    SELECT
        f.bot_id,
        CASE f.side WHEN 'buy' THEN f.qty ELSE -f.qty END
        - CASE WHEN f.fee_asset = split_part(f.symbol, '/', 1) AND NOT contains(f.symbol, ':') THEN f.fee ELSE 0 END AS qty
    FROM fills AS f
    WHERE f.bot_id <> 'external'
),
claimed AS (
    SELECT bot_id, amount AS qty
    FROM ledger
    WHERE bot_id <> '' AND kind IN ('claim', 'transfer') AND account IN ('wallet', 'position')
),
executed AS (SELECT bot_id, sum(qty) AS qty FROM (FROM net UNION ALL FROM claimed) GROUP BY bot_id),
held AS (SELECT bot_id, sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) AS qty FROM lots GROUP BY bot_id)
SELECT coalesce(e.bot_id, h.bot_id) AS bot_id, e.qty AS executed, h.qty AS lots
FROM executed AS e
FULL JOIN held AS h ON h.bot_id = e.bot_id
WHERE coalesce(e.qty, 0) <> coalesce(h.qty, 0)
ORDER BY bot_id;
