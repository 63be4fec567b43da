-- The amounts of a transaction sum to zero in every asset.
SELECT txn_id, asset, sum(amount) AS left_over
FROM ledger
GROUP BY txn_id, asset
HAVING sum(amount) <> 0
ORDER BY txn_id, asset;
