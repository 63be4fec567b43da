-- The lines of the ledger are numbered 1, 2, 3 and so on: one that is missing was lost.
SELECT seq, previous
FROM (SELECT seq, lag(seq, 1, 0) OVER (ORDER BY seq) AS previous FROM ledger)
WHERE seq <> previous + 1
ORDER BY seq;
