-- When the closing orders of a stop were sent, and last heard of. An order belongs to the last stop decided before it.
SELECT
    CAST(o.recorded_at AS DATE) AS recorded_on,
    o.bot_id,
    s.stopped_at,
    min(o.created_at) AS sent_at,
    max(o.updated_at) AS done_at
FROM orders_life AS o
ASOF JOIN stops_daily AS s ON s.bot_id = o.bot_id AND o.created_at >= s.stopped_at
WHERE o.role <> 'entry' AND o.type = 'market'
GROUP BY ALL;
