-- What a person must know, the standing ones first.
CREATE OR REPLACE VIEW report_incidents AS
SELECT
    id,
    resolved_at IS NULL AS standing,
    severity,
    kind,
    bot_id,
    subject,
    detail,
    ts,
    resolved_at,
    epoch(resolved_at - ts) AS lasted_s
FROM incidents
ORDER BY standing DESC, ts DESC, id DESC;
