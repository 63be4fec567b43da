-- Every recovery of a stuck lot: how it was tried, what it cost, how it ended. freed: the lot left, or could wait for its
-- target again, without a stop; NULL while the episode goes on.
CREATE OR REPLACE VIEW report_recovery AS
SELECT
    bot_id,
    lot_id,
    began_at,
    ended_at,
    epoch(ended_at - began_at) AS lasted_s,
    mode,
    escalated,
    outcome,
    CASE WHEN outcome <> '' THEN outcome IN ('recovered', 'closed', 'unhedged') END AS freed,
    qty,
    entry,
    price,
    rungs,
    fills,
    closed_qty,
    cost,
    level
FROM recovery
ORDER BY began_at DESC, bot_id, lot_id;
