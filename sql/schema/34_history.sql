-- Stock as of an instant: the ledger by time, in one index.

CREATE INDEX IF NOT EXISTS stock_movement_at ON oms.stock_movement (merchant_id, item_id, location_id, at)
	INCLUDE (quantity, damaged, quality_control, quarantine, kind);
