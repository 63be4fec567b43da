-- Why orders were not placed: refused by the exchange, or declined by a limit of ours. One row per leg and reason.
CREATE OR REPLACE VIEW report_rejects AS
SELECT
    bot_id,
    subject AS leg_id,
    CASE decision WHEN 'REFUSED' THEN 'exchange' ELSE 'limit' END AS refused_by,
    reason,
    CAST(sum(times) AS BIGINT) AS times,
    min(first_at) AS first_at,
    max(last_at) AS last_at
FROM rejects_daily
GROUP BY bot_id, subject, decision, reason
ORDER BY last_at DESC, bot_id, leg_id;
