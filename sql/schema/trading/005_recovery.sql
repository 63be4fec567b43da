-- Episodes of recovery of stuck lots, one row each, kept for ever. qty: what was open when it began, bought or sold at
-- entry while the price was price. rungs: the exits as last laid, [[price, qty], ...]. closed_qty: what its fills took
-- off. cost: the loss that they realised, in quote before fees (negative: a gain). outcome: empty while it goes on.
CREATE TABLE recovery (
    bot_id VARCHAR NOT NULL,
    lot_id VARCHAR NOT NULL,
    began_at TIMESTAMP NOT NULL,
    level INTEGER NOT NULL,
    mode VARCHAR NOT NULL,
    price DECIMAL(38, 18) NOT NULL,
    entry DECIMAL(38, 18) NOT NULL,
    qty DECIMAL(38, 18) NOT NULL,
    rungs JSON NOT NULL,
    fills INTEGER NOT NULL,
    closed_qty DECIMAL(38, 18) NOT NULL,
    cost DECIMAL(38, 18) NOT NULL,
    escalated VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    ended_at TIMESTAMP,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (bot_id, lot_id, began_at)
);
