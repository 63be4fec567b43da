-- Every executor as its newest snapshot shows it; earlier ones are rows of journal with decision SNAPSHOT.
CREATE OR REPLACE VIEW report_executors AS
WITH newest AS (
    SELECT
        bot_id,
        ts,
        reason,
        row_number() OVER (PARTITION BY bot_id ORDER BY tick_id DESC, n DESC) AS age
    FROM snapshots_daily
)
SELECT
    bot_id,
    reason ->> '$.type' AS type,
    reason ->> '$.controller_id' AS controller_id,
    reason ->> '$.status' AS status,
    reason ->> '$.close_type' AS close_type,
    CAST(reason ->> '$.net_pnl_quote' AS DECIMAL(38, 18)) AS net_pnl_quote,
    CAST(reason ->> '$.cum_fees_quote' AS DECIMAL(38, 18)) AS cum_fees_quote,
    CAST(reason ->> '$.filled_amount_quote' AS DECIMAL(38, 18)) AS filled_amount_quote,
    ts
FROM newest
WHERE age = 1
ORDER BY bot_id;
