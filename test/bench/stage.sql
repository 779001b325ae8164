-- :n orders of three lines for each of :clients sources.
INSERT INTO oms.staged_order (merchant_id, source, position, document)
SELECT 1, 'bench-' || s, g, jsonb_build_object('channel', 1, 'customer', 1 + (g * 7919) % 10000,
	'external_ref', format('%s-%s-%s', :'tag', s, g),
	'lines', jsonb_build_array(
		jsonb_build_object('item', 1 + (g * 31) % 1000, 'quantity', 1),
		jsonb_build_object('item', 1 + (g * 31 + 333) % 1000, 'quantity', 1),
		jsonb_build_object('item', 1 + (g * 31 + 777) % 1000, 'quantity', 1)))
FROM generate_series(0, :clients - 1) s,
	generate_series((SELECT coalesce(max(position), 0) + 1 FROM oms.staged_order),
		(SELECT coalesce(max(position), 0) + :n FROM oms.staged_order)) g;
VACUUM ANALYZE oms.staged_order;
