-- Backtests, alone or as parts of sweeps. Times are UTC without zone; money is quote, exact, and never DOUBLE; ratios and
-- moments are statistics.

-- One row per sweep. `varied`, `options`, `segments` and `summary` are JSON; the id is made of everything that decides
-- the results, so that the same sweep started again goes on where it was.
CREATE TABLE sweeps (
    sweep_id VARCHAR PRIMARY KEY,
    started_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    portfolio_id VARCHAR NOT NULL,
    bot_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    candles VARCHAR NOT NULL,
    varied VARCHAR NOT NULL,
    options VARCHAR NOT NULL,
    segments VARCHAR NOT NULL,
    configurations BIGINT NOT NULL,
    summary VARCHAR
);

-- One row per run of one configuration over one stretch of candles. `sweep_id` is NULL for a backtest of its own;
-- `number` counts a sweep's configurations and `segment` its stretches, both from 0. `refused` says why a configuration
-- was not run (then the figures are NULL). `returns_sums` holds n, sum r, sum r^2, sum r^3 and sum r^4 of the daily returns.
CREATE TABLE backtests (
    run_id VARCHAR PRIMARY KEY,
    sweep_id VARCHAR,
    number BIGINT NOT NULL,
    segment INTEGER NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    portfolio_id VARCHAR NOT NULL,
    bot_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    venue VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    timeframe VARCHAR NOT NULL,
    first_ts TIMESTAMP NOT NULL,
    last_ts TIMESTAMP NOT NULL,
    config VARCHAR NOT NULL,
    intrabar VARCHAR NOT NULL,
    fill VARCHAR NOT NULL,
    latency_s DOUBLE NOT NULL,
    engine VARCHAR NOT NULL,
    refused VARCHAR,
    bars BIGINT NOT NULL,
    fills BIGINT,
    fills_initial BIGINT,
    round_trips BIGINT,
    net_pnl DECIMAL(38, 18),
    realized_pnl DECIMAL(38, 18),
    unrealized_pnl DECIMAL(38, 18),
    grid_profit DECIMAL(38, 18),
    fees DECIMAL(38, 18),
    funding DECIMAL(38, 18),
    capital_quote DECIMAL(38, 18),
    final_equity DECIMAL(38, 18),
    exposure_max DECIMAL(38, 18),
    max_drawdown DOUBLE,
    sharpe DOUBLE,
    sortino DOUBLE,
    win_rate DOUBLE,
    returns_sums DOUBLE[],
    warnings VARCHAR
);

-- The executions of a backtest, in order from 0. Sweeps keep none: their runs are made again from their configuration.
CREATE TABLE backtest_fills (
    run_id VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    ts TIMESTAMP NOT NULL,
    venue VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    bot_id VARCHAR NOT NULL,
    client_id VARCHAR NOT NULL,
    trade_id VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    price DECIMAL(38, 18) NOT NULL,
    qty DECIMAL(38, 18) NOT NULL,
    fee DECIMAL(38, 18) NOT NULL,
    fee_asset VARCHAR NOT NULL,
    maker BOOLEAN NOT NULL,
    PRIMARY KEY (run_id, seq)
);
