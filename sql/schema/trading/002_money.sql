-- The books: double entry, inventory at its own cost, and what the venue itself reports.

-- The amounts of one txn_id sum to zero in every asset; seq has no gaps.
CREATE TABLE ledger (
    seq BIGINT PRIMARY KEY,
    txn_id BIGINT NOT NULL,
    ts TIMESTAMP NOT NULL,
    bot_id VARCHAR NOT NULL,
    venue VARCHAR NOT NULL,
    account VARCHAR NOT NULL,
    asset VARCHAR NOT NULL,
    amount DECIMAL(38, 18) NOT NULL,
    kind VARCHAR NOT NULL,
    ref VARCHAR NOT NULL,
    recorded_at TIMESTAMP NOT NULL
);

-- Inventory that one entry leg opened. A lot that was closed stays as it is: should a late fill open the same lot_id
-- again, that is another lot, told apart by opened_txn, the ledger's count when it was first stored.
CREATE TABLE lots (
    bot_id VARCHAR NOT NULL,
    lot_id VARCHAR NOT NULL,
    opened_txn BIGINT NOT NULL,
    venue VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    opened_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    opened_qty DECIMAL(38, 18) NOT NULL,
    qty DECIMAL(38, 18) NOT NULL,
    cost DECIMAL(38, 18) NOT NULL,
    realized DECIMAL(38, 18) NOT NULL,
    grid_profit DECIMAL(38, 18) NOT NULL,
    fees DECIMAL(38, 18) NOT NULL,
    exits INTEGER NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    PRIMARY KEY (bot_id, lot_id, opened_txn)
);

-- amount > 0 was received.
CREATE TABLE funding_payments (
    venue VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    ref VARCHAR NOT NULL,
    bot_id VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    amount DECIMAL(38, 18) NOT NULL,
    asset VARCHAR NOT NULL,
    rate DECIMAL(38, 18) NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    PRIMARY KEY (venue, symbol, ref)
);

-- The last reading of every asset.
CREATE TABLE account_balance (
    venue VARCHAR NOT NULL,
    asset VARCHAR NOT NULL,
    total DECIMAL(38, 18) NOT NULL,
    ts TIMESTAMP NOT NULL,
    PRIMARY KEY (venue, asset)
);

-- A sample per bot and minute, in quote. equity = capital + realized + unrealized - fees + funding.
CREATE TABLE equity (
    ts TIMESTAMP NOT NULL,
    bot_id VARCHAR NOT NULL,
    equity DECIMAL(38, 18) NOT NULL,
    price DECIMAL(38, 18) NOT NULL,
    price_ts TIMESTAMP NOT NULL,
    inventory DECIMAL(38, 18) NOT NULL,
    cost DECIMAL(38, 18) NOT NULL,
    exposure DECIMAL(38, 18) NOT NULL,
    realized DECIMAL(38, 18) NOT NULL,
    unrealized DECIMAL(38, 18) NOT NULL,
    grid_profit DECIMAL(38, 18) NOT NULL,
    fees DECIMAL(38, 18) NOT NULL,
    funding DECIMAL(38, 18) NOT NULL,
    recorded_at TIMESTAMP NOT NULL
);
