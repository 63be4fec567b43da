-- What was refused or declined, by leg and reason.
SELECT
    CAST(recorded_at AS DATE) AS recorded_on,
    bot_id,
    subject,
    decision,
    reason,
    count(*) AS times,
    min(ts) AS first_at,
    max(ts) AS last_at
FROM journal
WHERE decision IN ('REFUSED', 'DECLINED')
GROUP BY recorded_on, bot_id, subject, decision, reason;
