-- Orders that changed on a day after the one that they were archived under: their earlier rows count no more.
SELECT
    CAST(recorded_at AS DATE) AS recorded_on,
    client_id,
    recorded_at
FROM orders_life
WHERE again;
