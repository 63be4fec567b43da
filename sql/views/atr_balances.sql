-- Accounts of ATR grids: the last reading of each account's quote, and for each bot its samples of equity, both markets
-- together (COMBINED). net_flow_usdt is what the bot has earned so far: realised + floating - fees + funding.
CREATE OR REPLACE VIEW atr_balances AS
WITH bots AS (
    SELECT bot_id, venue, symbol, quote_asset, capital_quote FROM bot_state WHERE kind = 'atr_grid'
)
SELECT
    'SPOT' AS account_type, b.bot_id, a.venue, b.symbol, a.ts,
    NULL AS start_balance_usdt, NULL AS net_flow_usdt, NULL AS realized_pnl_usdt, NULL AS unrealized_pnl_usdt,
    NULL AS fees_usdt, NULL AS funding_usdt, a.total AS end_balance_usdt
FROM account_balance AS a
INNER JOIN bots AS b ON b.venue = a.venue AND b.quote_asset = a.asset
UNION ALL
SELECT DISTINCT
    'FUTURES' AS account_type, b.bot_id, a.venue, o.symbol, a.ts,
    NULL, NULL, NULL, NULL, NULL, NULL, a.total
FROM account_balance AS a
INNER JOIN bots AS b ON b.quote_asset = a.asset
INNER JOIN (SELECT DISTINCT bot_id, venue, symbol FROM orders WHERE contains(symbol, ':')) AS o
    ON o.bot_id = b.bot_id AND o.venue = a.venue
UNION ALL
SELECT
    'COMBINED' AS account_type, b.bot_id, NULL AS venue, b.symbol, e.ts,
    b.capital_quote, e.equity - b.capital_quote, e.realized, e.unrealized, e.fees, e.funding, e.equity
FROM equity AS e
INNER JOIN bots AS b ON b.bot_id = e.bot_id
ORDER BY account_type, bot_id, ts;
