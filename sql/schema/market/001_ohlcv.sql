-- Finished candles. ts is the open time, UTC without zone; prices in quote, volume in base.
-- Twelve decimals hold the finest price listed anywhere; sixteen digits before the point hold any volume.
CREATE TABLE IF NOT EXISTS ohlcv (
    venue     VARCHAR NOT NULL,
    symbol    VARCHAR NOT NULL,
    timeframe VARCHAR NOT NULL,
    ts        TIMESTAMP NOT NULL,
    open      DECIMAL(28, 12) NOT NULL,
    high      DECIMAL(28, 12) NOT NULL,
    low       DECIMAL(28, 12) NOT NULL,
    close     DECIMAL(28, 12) NOT NULL,
    volume    DECIMAL(28, 12) NOT NULL,
    PRIMARY KEY (venue, symbol, timeframe, ts)
);
