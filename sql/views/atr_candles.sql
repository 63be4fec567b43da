-- Every finished candle that an ATR grid took in, with the indicators after it, to the digit that it decided on.
CREATE OR REPLACE VIEW atr_candles AS
SELECT
    j.bot_id,
    b.venue,
    b.symbol,
    CAST(j.reason ->> 'ts' AS TIMESTAMP) AS ts,
    CAST(j.reason ->> 'open' AS DECIMAL(38, 18)) AS open,
    CAST(j.reason ->> 'high' AS DECIMAL(38, 18)) AS high,
    CAST(j.reason ->> 'low' AS DECIMAL(38, 18)) AS low,
    CAST(j.reason ->> 'close' AS DECIMAL(38, 18)) AS close,
    CAST(j.reason ->> 'volume' AS DECIMAL(38, 18)) AS volume,
    CAST(j.reason ->> 'tr' AS DECIMAL(38, 18)) AS tr,
    CAST(j.reason ->> 'atr_14' AS DECIMAL(38, 18)) AS atr_14,
    CAST(j.reason ->> 'atr_28' AS DECIMAL(38, 18)) AS atr_28,
    CAST(j.reason ->> 'ema_14' AS DECIMAL(38, 18)) AS ema_14,
    CAST(j.reason ->> 'ema_28' AS DECIMAL(38, 18)) AS ema_28,
    CAST(j.reason ->> 'ema_50' AS DECIMAL(38, 18)) AS ema_50,
    CAST(j.reason ->> 'ema_100' AS DECIMAL(38, 18)) AS ema_100,
    CAST(j.reason ->> 'ema_200' AS DECIMAL(38, 18)) AS ema_200
FROM journal AS j
INNER JOIN bot_state AS b ON b.bot_id = j.bot_id
WHERE b.kind = 'atr_grid' AND j.subject = 'candle' AND j.decision = 'CLOSED'
ORDER BY j.bot_id, ts;
