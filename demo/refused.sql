\pset footer off
\echo '> Refused, and why:'
SELECT error_code AS code, error_message AS message, count(*) AS documents, min(document->>'external_ref') AS first
FROM oms.staged_order
WHERE merchant_id = 1 AND error_code IS NOT NULL
GROUP BY 1, 2
ORDER BY 3 DESC
LIMIT 20;
