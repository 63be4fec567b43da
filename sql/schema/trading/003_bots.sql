-- What a restart needs of the bots, and what was decided about them.

-- head: what the machine keeps beside its levels; NULL before its first price. unwind: the closing under way, or NULL.
CREATE TABLE bot_state (
    bot_id VARCHAR PRIMARY KEY,
    kind VARCHAR NOT NULL,
    venue VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    quote_asset VARCHAR NOT NULL,
    capital_quote DECIMAL(38, 18) NOT NULL,
    mode VARCHAR NOT NULL,
    mode_reason VARCHAR NOT NULL,
    head JSON,
    started_at TIMESTAMP,
    unwind JSON,
    episodes INTEGER NOT NULL,
    peak DECIMAL(38, 18),
    realized DECIMAL(38, 18) NOT NULL,
    grid_profit DECIMAL(38, 18) NOT NULL,
    fees DECIMAL(38, 18) NOT NULL,
    funding DECIMAL(38, 18) NOT NULL,
    round_trips INTEGER NOT NULL,
    inventory DECIMAL(38, 18) NOT NULL,
    cost DECIMAL(38, 18) NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- One row per place of a bot (level, slice, rung). reason: why it is not working. data: what its machine restores it from.
CREATE TABLE levels (
    bot_id VARCHAR NOT NULL,
    level INTEGER NOT NULL,
    cycle INTEGER NOT NULL,
    state VARCHAR NOT NULL,
    phase VARCHAR NOT NULL,
    entry_price DECIMAL(38, 18) NOT NULL,
    exit_price DECIMAL(38, 18) NOT NULL,
    qty DECIMAL(38, 18) NOT NULL,
    held DECIMAL(38, 18) NOT NULL,
    reason VARCHAR NOT NULL,
    entry_leg VARCHAR NOT NULL,
    exit_leg VARCHAR NOT NULL,
    data JSON NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (bot_id, level)
);

-- n numbers the decisions of one tick.
CREATE TABLE journal (
    tick_id BIGINT NOT NULL,
    n INTEGER NOT NULL,
    bot_id VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    decision VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    recorded_at TIMESTAMP NOT NULL
);

CREATE TABLE incidents (
    id BIGINT PRIMARY KEY,
    ts TIMESTAMP NOT NULL,
    severity VARCHAR NOT NULL,
    bot_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    resolved_at TIMESTAMP
);

-- Words of control that were applied, so that none is applied twice.
CREATE TABLE commands (
    command_id BIGINT PRIMARY KEY,
    bot_id VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    argument VARCHAR NOT NULL,
    who VARCHAR NOT NULL,
    note VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    applied_at TIMESTAMP NOT NULL
);

-- The price at which a bot was last valued; one row per bot.
CREATE TABLE marks (
    bot_id VARCHAR PRIMARY KEY,
    price DECIMAL(38, 18) NOT NULL,
    price_ts TIMESTAMP NOT NULL,
    unrealized DECIMAL(38, 18) NOT NULL,
    equity DECIMAL(38, 18) NOT NULL,
    exposure DECIMAL(38, 18) NOT NULL,
    marked_at TIMESTAMP NOT NULL
);
