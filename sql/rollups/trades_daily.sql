-- Trades by the day on which their inventory was first closed; the counts of later days are what changed since.
SELECT
    CAST(recorded_at AS DATE) AS recorded_on,
    bot_id,
    sum(trades) AS trades,
    sum(won) AS won,
    sum(realized) AS realized,
    sum(by_exits) AS by_exits
FROM trades_made
GROUP BY recorded_on, bot_id;
