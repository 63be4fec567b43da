-- The highest equity of each bot up to a day's end, the deepest fall of the day from the peak before it, the most at risk.
-- earlier: bot_id VARCHAR, peak DECIMAL(38, 18)
WITH known AS (
    SELECT bot_id, max(peak) AS peak
    FROM earlier
    GROUP BY bot_id
),
climbed AS (
    SELECT
        CAST(e.recorded_at AS DATE) AS recorded_on,
        e.ts,
        e.bot_id,
        e.equity,
        e.exposure,
        greatest(
            k.peak, max(e.equity) OVER (PARTITION BY e.bot_id ORDER BY CAST(e.recorded_at AS DATE), e.ts)
        ) AS peak
    FROM equity AS e
    LEFT JOIN known AS k ON k.bot_id = e.bot_id
)
SELECT
    recorded_on,
    bot_id,
    min_by(equity, ts) AS equity_began,
    max(peak) AS peak,
    max(CAST(peak - equity AS DOUBLE) / CAST(peak AS DOUBLE)) FILTER (peak > 0) AS max_drawdown,
    max(exposure) AS exposure_max
FROM climbed
GROUP BY recorded_on, bot_id;
