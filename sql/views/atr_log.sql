-- What ATR grids decided and why, and their incidents, as one log.
CREATE OR REPLACE VIEW atr_log AS
SELECT j.ts AS timestamp, 'INFO' AS level, j.bot_id, j.subject || ' ' || j.decision || ': ' || j.reason AS message
FROM journal AS j
INNER JOIN bot_state AS b ON b.bot_id = j.bot_id
WHERE b.kind = 'atr_grid' AND j.subject <> 'candle'
UNION ALL
SELECT i.ts, upper(i.severity), i.bot_id, i.kind || ' ' || i.subject || ': ' || i.detail
FROM incidents AS i
INNER JOIN bot_state AS b ON b.bot_id = i.bot_id
WHERE b.kind = 'atr_grid'
ORDER BY timestamp;
