-- Companions of the table ohlcv: what the ATR grid's indicators are after each finished candle, to the digit that the bot
-- decides on. `smoothing` of the two ATRs is sma or wilder. Formulas: core/indicators.py.
CREATE TABLE ohlcv_indicators (
    venue     VARCHAR NOT NULL,
    symbol    VARCHAR NOT NULL,
    timeframe VARCHAR NOT NULL,
    smoothing VARCHAR NOT NULL,
    ts        TIMESTAMP NOT NULL,
    tr        DECIMAL(38, 18) NOT NULL,
    atr_14    DECIMAL(38, 18) NOT NULL,
    atr_28    DECIMAL(38, 18) NOT NULL,
    ema_14    DECIMAL(38, 18) NOT NULL,
    ema_28    DECIMAL(38, 18) NOT NULL,
    ema_50    DECIMAL(38, 18) NOT NULL,
    ema_100   DECIMAL(38, 18) NOT NULL,
    ema_200   DECIMAL(38, 18) NOT NULL,
    PRIMARY KEY (venue, symbol, timeframe, smoothing, ts)
);
