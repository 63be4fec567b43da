-- The run itself: ticks, the account's latches, and whose store this is.

-- now: the time that the tick decided with; started_at and ended_at are the machine's clock.
CREATE TABLE ticks (
    tick_id BIGINT PRIMARY KEY,
    started_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP NOT NULL,
    now TIMESTAMP NOT NULL,
    rounds INTEGER NOT NULL,
    quiet BOOLEAN NOT NULL,
    orders_placed INTEGER NOT NULL,
    orders_cancelled INTEGER NOT NULL,
    fills INTEGER NOT NULL,
    note VARCHAR NOT NULL,
    recorded_at TIMESTAMP NOT NULL
);

-- One row (id 1): peak of the common equity, balance differences seen once, venues blocked and why.
CREATE TABLE account_state (
    id INTEGER PRIMARY KEY,
    peak DECIMAL(38, 18),
    suspects JSON NOT NULL,
    blocked JSON NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- One row (id 1): what this store belongs to. account is a hash, never a key.
CREATE TABLE store_stamp (
    id INTEGER PRIMARY KEY,
    mode VARCHAR NOT NULL,
    exchanges VARCHAR NOT NULL,
    account VARCHAR NOT NULL,
    portfolio VARCHAR NOT NULL,
    token VARCHAR NOT NULL,
    stamped_at TIMESTAMP NOT NULL
);

CREATE TABLE meta (
    key VARCHAR PRIMARY KEY,
    value VARCHAR NOT NULL
);

-- The days that have rows: what publishing has to write out.
CREATE TABLE days (
    day DATE PRIMARY KEY
);
