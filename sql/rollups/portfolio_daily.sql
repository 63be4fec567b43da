-- What all bots of a quote asset gained since their first samples: the points of that curve at which it was deeper below
-- its peak than ever before, and the last one of each day. Whatever the bots began with is added to both later on; the
-- deepest fall, as a fraction, is then at one of these points. Rows with a bot_id keep where that bot stood.
-- earlier: quote_asset VARCHAR, bot_id VARCHAR, ts TIMESTAMP, gained DECIMAL(38, 18), peak DECIMAL(38, 18)
WITH stood AS (
    SELECT *
    FROM earlier
    QUALIFY row_number() OVER (PARTITION BY quote_asset, bot_id ORDER BY recorded_on DESC, ts DESC) = 1
),
deepest AS (
    SELECT quote_asset, max(peak - gained) AS depth
    FROM earlier
    WHERE bot_id = ''
    GROUP BY quote_asset
),
sampled AS (
    SELECT CAST(e.recorded_at AS DATE) AS recorded_on, e.ts, b.quote_asset, e.bot_id, e.equity, true AS fresh
    FROM equity AS e
    JOIN bot_state AS b ON b.bot_id = e.bot_id
    UNION ALL
    SELECT recorded_on, ts, quote_asset, bot_id, gained, false
    FROM stood
    WHERE bot_id <> ''
),
moved AS (
    SELECT
        *,
        coalesce(equity - lag(equity) OVER (PARTITION BY bot_id ORDER BY recorded_on, ts), 0) AS change
    FROM sampled
),
summed AS (
    SELECT recorded_on, ts, quote_asset, sum(change) AS change
    FROM moved
    WHERE fresh
    GROUP BY recorded_on, ts, quote_asset
),
curve AS (
    SELECT
        m.recorded_on,
        m.ts,
        m.quote_asset,
        coalesce(s.gained, 0) + sum(m.change) OVER (PARTITION BY m.quote_asset ORDER BY m.recorded_on, m.ts) AS gained,
        s.peak AS peak_before
    FROM summed AS m
    LEFT JOIN stood AS s ON s.quote_asset = m.quote_asset AND s.bot_id = ''
),
climbed AS (
    SELECT
        recorded_on,
        ts,
        quote_asset,
        gained,
        greatest(peak_before, max(gained) OVER (PARTITION BY quote_asset ORDER BY recorded_on, ts)) AS peak
    FROM curve
),
fallen AS (
    SELECT
        c.*,
        greatest(
            d.depth,
            max(c.peak - c.gained) OVER (
                PARTITION BY c.quote_asset ORDER BY c.recorded_on, c.ts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )
        ) AS depth_before
    FROM climbed AS c
    LEFT JOIN deepest AS d ON d.quote_asset = c.quote_asset
),
points AS (
    SELECT recorded_on, ts, quote_asset, gained, peak
    FROM fallen
    QUALIFY depth_before IS NULL OR peak - gained > depth_before
        OR row_number() OVER (PARTITION BY recorded_on, quote_asset ORDER BY ts DESC) = 1
)
SELECT
    recorded_on,
    quote_asset,
    '' AS bot_id,
    ts,
    CAST(gained AS DECIMAL(38, 18)) AS gained,
    CAST(peak AS DECIMAL(38, 18)) AS peak
FROM points
UNION ALL
SELECT recorded_on, quote_asset, bot_id, max(ts), max_by(equity, ts), NULL
FROM sampled
WHERE fresh
GROUP BY recorded_on, quote_asset, bot_id;
