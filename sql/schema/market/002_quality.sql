-- Funding payments of perpetual contracts: the rate is a fraction of the position's value, positive when longs pay.
CREATE TABLE IF NOT EXISTS funding_rates (
    venue  VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    ts     TIMESTAMP NOT NULL,
    rate   DECIMAL(18, 12) NOT NULL,
    PRIMARY KEY (venue, symbol, ts)
);

-- What the quality gate found, one row per series and rule. `severity` is error (what depends on the series is stopped)
-- or warning; `failed` of `checked` rows broke the rule, the first and last of them at these times (UTC).
CREATE TABLE IF NOT EXISTS quality_results (
    run_id     VARCHAR NOT NULL,
    venue      VARCHAR NOT NULL,
    symbol     VARCHAR NOT NULL,
    timeframe  VARCHAR NOT NULL,
    rule       VARCHAR NOT NULL,
    severity   VARCHAR NOT NULL,
    passed     BOOLEAN NOT NULL,
    checked    BIGINT NOT NULL,
    failed     BIGINT NOT NULL,
    first_ts   TIMESTAMP,
    last_ts    TIMESTAMP,
    detail     VARCHAR NOT NULL,
    checked_at TIMESTAMP NOT NULL,
    PRIMARY KEY (run_id, venue, symbol, timeframe, rule)
);
