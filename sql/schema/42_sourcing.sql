-- Sourcing: which locations an order is promised from, why not the others, and when stock is asked for.

CREATE TABLE IF NOT EXISTS oms.postcode (
	country		text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
	postcode	text COLLATE "C" NOT NULL CHECK (postcode = upper(replace(postcode, ' ', ''))),
	latitude	double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
	longitude	double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
	PRIMARY KEY (country, postcode)
);
COMMENT ON TABLE oms.postcode IS 'Where postal codes are, for distances. Yours to fill: whole codes, beginnings of codes, or '''' for a country; the longest that fits is used';
COMMENT ON COLUMN oms.postcode.country IS 'ISO 3166 alpha-2';
COMMENT ON COLUMN oms.postcode.postcode IS 'Postal code or its beginning, upper case without blanks; empty: anywhere in the country';
COMMENT ON COLUMN oms.postcode.latitude IS 'Degrees north';
COMMENT ON COLUMN oms.postcode.longitude IS 'Degrees east';

CREATE TABLE IF NOT EXISTS oms.location_sourcing (
	merchant_id	int NOT NULL,
	location_id	int NOT NULL,
	latitude	double precision CHECK (latitude BETWEEN -90 AND 90),
	longitude	double precision CHECK (longitude BETWEEN -180 AND 180),
	cost		numeric CHECK (cost >= 0),
	currency	text REFERENCES oms.currency,
	capacity	int CHECK (capacity >= 0),
	countries	text[],
	PRIMARY KEY (merchant_id, location_id),
	FOREIGN KEY (merchant_id, location_id) REFERENCES oms.location,
	CHECK ((latitude IS NULL) = (longitude IS NULL)),
	CHECK ((cost IS NULL) = (currency IS NULL))
);
COMMENT ON TABLE oms.location_sourcing IS 'What sourcing knows of a location; one without row ships anywhere, without limit, from an unknown place';
COMMENT ON COLUMN oms.location_sourcing.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.location_sourcing.location_id IS 'Location';
COMMENT ON COLUMN oms.location_sourcing.latitude IS 'Degrees north';
COMMENT ON COLUMN oms.location_sourcing.longitude IS 'Degrees east';
COMMENT ON COLUMN oms.location_sourcing.cost IS 'What a shipment from here costs, where no tariff says so';
COMMENT ON COLUMN oms.location_sourcing.currency IS 'Currency of cost';
COMMENT ON COLUMN oms.location_sourcing.capacity IS 'Orders that may be given to it on one day (UTC), also when many come at once; null: any number. Orders that may come here are then placed one by one';
COMMENT ON COLUMN oms.location_sourcing.countries IS 'Countries it ships to (ISO 3166 alpha-2); null: all';

CREATE TABLE IF NOT EXISTS oms.sourcing_rule (
	merchant_id		int NOT NULL REFERENCES oms.merchant,
	rule_id			int NOT NULL CHECK (rule_id > 0),
	name			text NOT NULL CHECK (name <> ''),
	position		int NOT NULL DEFAULT 100,
	channel_id		int,
	country			text CHECK (country ~ '^[A-Z]{2}$'),
	item_id			bigint,
	min_weight_g	bigint CHECK (min_weight_g >= 0),
	max_weight_g	bigint CHECK (max_weight_g >= min_weight_g),
	valid_from		timestamptz NOT NULL DEFAULT '-infinity',
	valid_to		timestamptz NOT NULL DEFAULT 'infinity' CHECK (valid_to > valid_from),
	strategy		text NOT NULL DEFAULT 'priority' CHECK (strategy IN ('priority', 'distance', 'stock', 'cost', 'function')),
	function_name	text,
	max_shipments	int CHECK (max_shipments > 0),
	split_lines		boolean NOT NULL DEFAULT true,
	fewest			boolean NOT NULL DEFAULT false,
	PRIMARY KEY (merchant_id, rule_id),
	FOREIGN KEY (merchant_id, channel_id) REFERENCES oms.channel,
	FOREIGN KEY (merchant_id, item_id) REFERENCES oms.item,
	CHECK ((strategy = 'function') = (function_name IS NOT NULL))
);
COMMENT ON TABLE oms.sourcing_rule IS 'How orders are sourced. Of the rules in force whose conditions an order meets, the lowest position decides, ties by rule_id; without one the channel''s locations are taken by their priority, split as it comes. Plain INSERT, UPDATE and DELETE';
COMMENT ON COLUMN oms.sourcing_rule.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.sourcing_rule.rule_id IS 'Rule';
COMMENT ON COLUMN oms.sourcing_rule.name IS 'Name, for people';
COMMENT ON COLUMN oms.sourcing_rule.position IS 'Lower is asked first; ties by rule_id';
COMMENT ON COLUMN oms.sourcing_rule.channel_id IS 'Only orders of this channel; null: all';
COMMENT ON COLUMN oms.sourcing_rule.country IS 'Only orders delivered to this country (ISO 3166 alpha-2); null: all';
COMMENT ON COLUMN oms.sourcing_rule.item_id IS 'Only orders with a line of this item; null: all';
COMMENT ON COLUMN oms.sourcing_rule.min_weight_g IS 'Only orders of at least so many grams (item.weight_g; of a kit without weight, its parts)';
COMMENT ON COLUMN oms.sourcing_rule.max_weight_g IS 'Only orders of at most so many grams';
COMMENT ON COLUMN oms.sourcing_rule.valid_from IS 'In force from (UTC instant)';
COMMENT ON COLUMN oms.sourcing_rule.valid_to IS 'In force until, exclusive (UTC instant)';
COMMENT ON COLUMN oms.sourcing_rule.strategy IS 'What ranks the locations: priority (channel_location), distance (great circle, nearest first), stock (most units of the order''s items first), cost (cheapest shipment first) or function; what is unknown comes last, ties by priority, then location_id';
COMMENT ON COLUMN oms.sourcing_rule.function_name IS 'schema.name of your function (merchant int, request jsonb) RETURNS int[]: location ids, best first. It runs with the rights of its owner';
COMMENT ON COLUMN oms.sourcing_rule.max_shipments IS 'Most locations one order may be promised from; null: any number';
COMMENT ON COLUMN oms.sourcing_rule.split_lines IS 'False: all units of a line come from one location';
COMMENT ON COLUMN oms.sourcing_rule.fewest IS 'True: a location that has the whole order first, else as few locations as possible; false: the best-ranked ones';

CREATE TABLE IF NOT EXISTS oms.sourcing_exclusion (
	merchant_id		int NOT NULL,
	location_id		int NOT NULL,
	item_id			bigint NOT NULL DEFAULT 0,
	excluded_until	timestamptz NOT NULL,
	reason			text NOT NULL CHECK (reason <> ''),
	PRIMARY KEY (merchant_id, location_id, item_id),
	FOREIGN KEY (merchant_id, location_id) REFERENCES oms.location
);
COMMENT ON TABLE oms.sourcing_exclusion IS 'Locations not to be promised from for a while. short_pick() writes them (setting short_pick_exclusion_days); also by hand';
COMMENT ON COLUMN oms.sourcing_exclusion.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.sourcing_exclusion.location_id IS 'Location';
COMMENT ON COLUMN oms.sourcing_exclusion.item_id IS 'Item that it is not asked for; 0: any';
COMMENT ON COLUMN oms.sourcing_exclusion.excluded_until IS 'Until, exclusive (UTC instant)';
COMMENT ON COLUMN oms.sourcing_exclusion.reason IS 'Why';

CREATE TABLE IF NOT EXISTS oms.sourcing (
	merchant_id		int NOT NULL,
	order_id		bigint NOT NULL,
	sourcing_id		int NOT NULL,
	at				timestamptz NOT NULL,
	rule_id			int,
	rule_name		text NOT NULL,
	strategy		text NOT NULL,
	max_shipments	int,
	shipments		int NOT NULL,
	opened			int NOT NULL,
	wanted			bigint NOT NULL,
	promised		bigint NOT NULL,
	PRIMARY KEY (merchant_id, order_id, sourcing_id)
);
COMMENT ON TABLE oms.sourcing IS 'Each time a rule, an exclusion or a capacity decided from where an order is promised. Append-only. An order that met neither has no row: it took the channel''s locations by their priority';
COMMENT ON COLUMN oms.sourcing.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.sourcing.order_id IS 'Order';
COMMENT ON COLUMN oms.sourcing.sourcing_id IS 'Number within the order, from 1';
COMMENT ON COLUMN oms.sourcing.at IS 'When (UTC instant)';
COMMENT ON COLUMN oms.sourcing.rule_id IS 'Rule; null: none, but an exclusion or a capacity was in force';
COMMENT ON COLUMN oms.sourcing.rule_name IS 'Its name then';
COMMENT ON COLUMN oms.sourcing.strategy IS 'Its strategy then';
COMMENT ON COLUMN oms.sourcing.max_shipments IS 'Its limit then; null: none';
COMMENT ON COLUMN oms.sourcing.shipments IS 'Locations the order is promised from afterwards';
COMMENT ON COLUMN oms.sourcing.opened IS 'Of these, those it was not promised from before';
COMMENT ON COLUMN oms.sourcing.wanted IS 'Units of lines that stock was asked for';
COMMENT ON COLUMN oms.sourcing.promised IS 'Units of lines that were promised';

CREATE TABLE IF NOT EXISTS oms.sourcing_location (
	merchant_id		int NOT NULL,
	order_id		bigint NOT NULL,
	sourcing_id		int NOT NULL,
	location_id		int NOT NULL,
	rank			int,
	value			numeric,
	units			bigint NOT NULL,
	lost			int NOT NULL,
	reason			text NOT NULL CHECK (reason IN ('chosen', 'inactive', 'country', 'excluded', 'over_capacity', 'not_ranked', 'no_stock', 'split_limit', 'not_whole', 'not_needed', 'lost_race')),
	detail			text,
	day				date NOT NULL,
	PRIMARY KEY (merchant_id, order_id, sourcing_id, location_id),
	FOREIGN KEY (merchant_id, order_id, sourcing_id) REFERENCES oms.sourcing,
	CHECK ((reason = 'chosen') = (units > 0))
);
CREATE INDEX IF NOT EXISTS sourcing_location_day ON oms.sourcing_location (merchant_id, location_id, day) WHERE units > 0;
COMMENT ON TABLE oms.sourcing_location IS 'What became of each location of the channel when an order was sourced. Append-only';
COMMENT ON COLUMN oms.sourcing_location.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.sourcing_location.order_id IS 'Order';
COMMENT ON COLUMN oms.sourcing_location.sourcing_id IS 'Decision';
COMMENT ON COLUMN oms.sourcing_location.location_id IS 'Location';
COMMENT ON COLUMN oms.sourcing_location.rank IS 'Rank, 1 the best; null: rejected before';
COMMENT ON COLUMN oms.sourcing_location.value IS 'What it was ranked by: priority, kilometres, units, cost in the order''s currency, or position in your function''s answer; null: unknown';
COMMENT ON COLUMN oms.sourcing_location.units IS 'Units of lines promised from it; a kit promised from here counts as units of the kit';
COMMENT ON COLUMN oms.sourcing_location.lost IS 'How often others took what had been seen here, and the decision was made anew';
COMMENT ON COLUMN oms.sourcing_location.reason IS 'chosen, or why not: inactive, country (does not ship there), excluded, over_capacity, not_ranked (by your function), no_stock, split_limit (max_shipments or split_lines), not_whole (setting reserve_whole), not_needed, lost_race';
COMMENT ON COLUMN oms.sourcing_location.detail IS 'The values behind it, in words';
COMMENT ON COLUMN oms.sourcing_location.day IS 'Day (UTC) that capacity counts by';

CREATE TABLE IF NOT EXISTS oms.order_schedule (
	merchant_id		int NOT NULL,
	order_id		bigint NOT NULL,
	ship_at			timestamptz,
	reserve			text NOT NULL CHECK (reserve IN ('placement', 'confirmation', 'manual', 'ship_date')),
	days_before		int NOT NULL CHECK (days_before >= 0),
	allocation		text NOT NULL CHECK (allocation IN ('strict', 'backorder', 'none')),
	due_at			timestamptz,
	reserved_at		timestamptz,
	asked_at		timestamptz,
	PRIMARY KEY (merchant_id, order_id),
	FOREIGN KEY (merchant_id, order_id) REFERENCES oms.sales_order,
	CHECK ((reserve = 'ship_date') = (due_at IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS order_schedule_due ON oms.order_schedule (merchant_id, due_at, order_id) WHERE reserved_at IS NULL AND due_at IS NOT NULL;
COMMENT ON TABLE oms.order_schedule IS 'Orders whose stock is reserved later than at placement, or that have a ship date. An order without row was asked for at placement';
COMMENT ON COLUMN oms.order_schedule.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.order_schedule.order_id IS 'Order';
COMMENT ON COLUMN oms.order_schedule.ship_at IS 'When it is to be shipped (UTC instant): ship_at of its document, or set_ship_date()';
COMMENT ON COLUMN oms.order_schedule.reserve IS 'When stock is asked for, as setting reserve was at placement: placement, confirmation, manual, ship_date';
COMMENT ON COLUMN oms.order_schedule.days_before IS 'Days before ship_at, as setting reserve_days was at placement';
COMMENT ON COLUMN oms.order_schedule.allocation IS 'What happens on shortage, as the order said: strict refuses to confirm, and waits where the time has come; backorder backorders the rest';
COMMENT ON COLUMN oms.order_schedule.due_at IS 'ship_at less days_before times 24 hours (UTC instant): reserve_due() asks for its stock from then on';
COMMENT ON COLUMN oms.order_schedule.reserved_at IS 'When stock was asked for (UTC instant); null: still to come';
COMMENT ON COLUMN oms.order_schedule.asked_at IS 'When stock was last asked for in vain, in whole or in part (UTC instant): reserve_due() looks at orders that were not, or longer ago, first; null: never';

CREATE OR REPLACE TRIGGER location_sourcing_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.location_sourcing
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER sourcing_rule_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.sourcing_rule
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER sourcing_rule_guard BEFORE INSERT OR UPDATE ON oms.sourcing_rule
	FOR EACH ROW EXECUTE FUNCTION oms.sourcing_rule_guard();
CREATE OR REPLACE TRIGGER sourcing_exclusion_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON oms.sourcing_exclusion
	FOR EACH STATEMENT EXECUTE FUNCTION oms.config_changed();
CREATE OR REPLACE TRIGGER sourcing_insert BEFORE INSERT ON oms.sourcing
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Placing and reserve() write it');
CREATE OR REPLACE TRIGGER sourcing_guard BEFORE UPDATE OR DELETE ON oms.sourcing
	FOR EACH ROW EXECUTE FUNCTION oms.guard_append_only('A decision stays as it was made.');
CREATE OR REPLACE TRIGGER sourcing_truncate BEFORE TRUNCATE ON oms.sourcing
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_append_only('A decision stays as it was made.');
CREATE OR REPLACE TRIGGER sourcing_location_insert BEFORE INSERT ON oms.sourcing_location
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Placing and reserve() write it');
CREATE OR REPLACE TRIGGER sourcing_location_guard BEFORE UPDATE OR DELETE ON oms.sourcing_location
	FOR EACH ROW EXECUTE FUNCTION oms.guard_append_only('A decision stays as it was made.');
CREATE OR REPLACE TRIGGER sourcing_location_truncate BEFORE TRUNCATE ON oms.sourcing_location
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_append_only('A decision stays as it was made.');
CREATE OR REPLACE TRIGGER order_schedule_guard BEFORE INSERT OR UPDATE OR DELETE ON oms.order_schedule
	FOR EACH ROW EXECUTE FUNCTION oms.guard_command_only('Use set_ship_date() or reserve()');
CREATE OR REPLACE TRIGGER order_schedule_truncate BEFORE TRUNCATE ON oms.order_schedule
	FOR EACH STATEMENT EXECUTE FUNCTION oms.guard_command_only('Use set_ship_date() or reserve()');

INSERT INTO oms.table_class VALUES
	('postcode', 'reference', 'inventory'), ('location_sourcing', 'merchant', 'inventory'), ('sourcing_rule', 'merchant', 'inventory'),
	('sourcing_exclusion', 'merchant', 'inventory'), ('sourcing', 'merchant', 'order'), ('sourcing_location', 'merchant', 'order'),
	('order_schedule', 'merchant', 'order')
	ON CONFLICT (table_name) DO NOTHING;
INSERT INTO oms.setting_definition VALUES
	('reserve', 'placement', '{placement,confirmation,manual,ship_date}', 'When an order''s stock is asked for: when it is placed, when it is confirmed, by hand (reserve), or reserve_days before its ship date (reserve_due)'),
	('reserve_days', '3', '{0,1,2,3,4,5,6,7,10,14,21,28,30,45,60,90}', 'Days of 24 hours before the ship date at which stock is asked for, where reserve is ship_date'),
	('reserve_whole', 'no', '{no,line,order}', 'no: an order gets what there is; line: all of a line or nothing of it; order: all of the order or nothing'),
	('short_pick_exclusion_days', '0', '{0,1,2,3,4,5,6,7,10,14,21,28,30}', 'Days of 24 hours for which a location is not asked for an item that was not on its shelf'),
	('after_short_pick', 'backorder', '{backorder,reserve}', 'What short_pick() does with the units: leaves them backordered, or asks other locations for them in the same transaction')
	ON CONFLICT (name) DO NOTHING;

CREATE OR REPLACE VIEW oms.sourcing_decision AS
SELECT s.merchant_id, s.order_id, s.sourcing_id, s.at, s.rule_id, s.rule_name, s.strategy, s.max_shipments, s.wanted, s.promised,
	l.location_id, c.code AS location, l.rank, l.value, l.units, l.lost, l.reason, l.detail
FROM oms.sourcing s
JOIN oms.sourcing_location l ON l.merchant_id = s.merchant_id AND l.order_id = s.order_id AND l.sourcing_id = s.sourcing_id
JOIN oms.location c ON c.merchant_id = s.merchant_id AND c.location_id = l.location_id;
COMMENT ON VIEW oms.sourcing_decision IS 'Why an order is promised from where it is: every location of its channel with its rank, what it was ranked by, and what became of it';
COMMENT ON COLUMN oms.sourcing_decision.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.sourcing_decision.order_id IS 'Order';
COMMENT ON COLUMN oms.sourcing_decision.sourcing_id IS 'Decision; rises with time within an order';
COMMENT ON COLUMN oms.sourcing_decision.at IS 'When (UTC instant)';
COMMENT ON COLUMN oms.sourcing_decision.rule_id IS 'Rule; null: none, but an exclusion or a capacity was in force';
COMMENT ON COLUMN oms.sourcing_decision.rule_name IS 'Its name then';
COMMENT ON COLUMN oms.sourcing_decision.strategy IS 'Its strategy then';
COMMENT ON COLUMN oms.sourcing_decision.max_shipments IS 'Its limit then; null: none';
COMMENT ON COLUMN oms.sourcing_decision.wanted IS 'Units of lines that stock was asked for';
COMMENT ON COLUMN oms.sourcing_decision.promised IS 'Units of lines that were promised';
COMMENT ON COLUMN oms.sourcing_decision.location_id IS 'Location';
COMMENT ON COLUMN oms.sourcing_decision.location IS 'Its code';
COMMENT ON COLUMN oms.sourcing_decision.rank IS 'Rank, 1 the best; null: rejected before';
COMMENT ON COLUMN oms.sourcing_decision.value IS 'What it was ranked by: priority, kilometres, units, cost in the order''s currency, or position in your function''s answer; null: unknown';
COMMENT ON COLUMN oms.sourcing_decision.units IS 'Units of lines promised from it';
COMMENT ON COLUMN oms.sourcing_decision.lost IS 'How often others took what had been seen here';
COMMENT ON COLUMN oms.sourcing_decision.reason IS 'chosen, or why not: see sourcing_location.reason';
COMMENT ON COLUMN oms.sourcing_decision.detail IS 'The values behind it, in words';

CREATE OR REPLACE VIEW oms.verify_sourcing AS
SELECT s.merchant_id, 'sourcing_units' AS rule, format('order %s sourcing %s', s.order_id, s.sourcing_id) AS object,
	format('%s units at its locations', s.promised) AS expected, format('%s', coalesce(l.units, 0)) AS found
FROM oms.sourcing s
LEFT JOIN (SELECT merchant_id, order_id, sourcing_id, sum(units) AS units FROM oms.sourcing_location GROUP BY 1, 2, 3) l
	USING (merchant_id, order_id, sourcing_id)
WHERE s.promised <> coalesce(l.units, 0) OR s.promised > s.wanted
UNION ALL
SELECT s.merchant_id, 'sourcing_shipments', format('order %s sourcing %s', s.order_id, s.sourcing_id),
	format('at most %s locations', least(s.shipments, s.max_shipments)), format('%s', greatest(s.shipments, coalesce(l.locations, 0)))
FROM oms.sourcing s
LEFT JOIN (SELECT merchant_id, order_id, sourcing_id, count(*) AS locations FROM oms.sourcing_location WHERE units > 0 GROUP BY 1, 2, 3) l
	USING (merchant_id, order_id, sourcing_id)
WHERE coalesce(l.locations, 0) > s.shipments OR (s.opened > 0 AND s.shipments > s.max_shipments)
UNION ALL
SELECT s.merchant_id, 'schedule_due', format('order %s', s.order_id),
	format('due at %s', s.ship_at - s.days_before * interval '24 hours'), format('due at %s', s.due_at)
FROM oms.order_schedule s
WHERE s.reserve = 'ship_date' AND s.due_at IS DISTINCT FROM s.ship_at - s.days_before * interval '24 hours';
COMMENT ON VIEW oms.verify_sourcing IS 'Broken invariants of sourcing; see verify()';
COMMENT ON COLUMN oms.verify_sourcing.merchant_id IS 'Merchant';
COMMENT ON COLUMN oms.verify_sourcing.rule IS 'Invariant that is broken';
COMMENT ON COLUMN oms.verify_sourcing.object IS 'Where';
COMMENT ON COLUMN oms.verify_sourcing.expected IS 'What should be';
COMMENT ON COLUMN oms.verify_sourcing.found IS 'What is';
