-- Orders and executions. Times are UTC without zone; amounts are exact, 18 places, and never DOUBLE.
-- `recorded_at` is when this store learnt of a row; it never falls, so a day that is over gets no more rows.

-- One row per attempt at a leg. `filled_qty` is the larger of what the venue reports and what its trades add up to
-- (`traded_qty`); `asked_price` is what the leg wanted, `leg_qty` the most that the leg ever was planned to be.
CREATE TABLE orders (
    client_id VARCHAR PRIMARY KEY,
    venue VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    bot_id VARCHAR NOT NULL,
    leg_id VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    role VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    price DECIMAL(38, 18),
    qty DECIMAL(38, 18) NOT NULL,
    filled_qty DECIMAL(38, 18) NOT NULL,
    status VARCHAR NOT NULL,
    exchange_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    traded_qty DECIMAL(38, 18) NOT NULL,
    post_only BOOLEAN NOT NULL,
    reduce_only BOOLEAN NOT NULL,
    stop_price DECIMAL(38, 18),
    asked_price DECIMAL(38, 18),
    leg_qty DECIMAL(38, 18),
    recorded_at TIMESTAMP NOT NULL
);

-- One row per execution on the account. `bot_id` is 'external' for trades of others. `quote_qty` = price x qty.
-- `fee_quote` is the fee in quote, NULL where its asset has no rate; `realized` is before fees, NULL for what opens.
-- The side is part of the key, because a trade between two bots of one account has two of them.
CREATE TABLE fills (
    venue VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    trade_id VARCHAR NOT NULL,
    client_id VARCHAR NOT NULL,
    bot_id VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    price DECIMAL(38, 18) NOT NULL,
    qty DECIMAL(38, 18) NOT NULL,
    fee DECIMAL(38, 18) NOT NULL,
    fee_asset VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    leg_id VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    lot_id VARCHAR NOT NULL,
    maker BOOLEAN NOT NULL,
    settled DECIMAL(38, 18) NOT NULL,
    quote_qty DECIMAL(38, 18) NOT NULL,
    fee_quote DECIMAL(38, 18),
    realized DECIMAL(38, 18),
    recorded_at TIMESTAMP NOT NULL,
    PRIMARY KEY (venue, symbol, trade_id, side)
);
