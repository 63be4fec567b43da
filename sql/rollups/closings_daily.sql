-- What the inventory that a day's executions closed had cost (of a short: had brought), and what closing it realised (quote).
SELECT
    CAST(recorded_at AS DATE) AS recorded_on,
    bot_id,
    sum(CASE side WHEN 'sell' THEN quote_qty - realized ELSE quote_qty + realized END) AS cost,
    sum(realized) AS realized
FROM fills
WHERE realized IS NOT NULL
GROUP BY recorded_on, bot_id;
