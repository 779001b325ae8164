-- Fulfilment: plan, pick, pack, ship, track.

CREATE FUNCTION oms.fulfilment_follow() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'oms_fulfilment_follow';
COMMENT ON FUNCTION oms.fulfilment_follow() IS 'When an order takes promises back, fulfilments give up the units that are not picked';

CREATE FUNCTION oms.set_shipment_policy(merchant int, order_id bigint, policy text, complete_by timestamptz DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_set_shipment_policy';
COMMENT ON FUNCTION oms.set_shipment_policy(int, bigint, text, timestamptz, text, text, text) IS 'What of an order may ship apart, whatever the setting shipment_policy says: as_available, line_complete (a line leaves when all of it is packed), order_complete (nothing leaves before all is packed), complete_by (complete until the instant, from then on as available). Service lines never wait. Returns the order. Raises OM002 (no such order), OM011 (no such policy; complete_by without an instant or with another policy)';

CREATE FUNCTION oms.plan_fulfilment(merchant int, order_id bigint, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL,
	OUT fulfilment_id bigint, OUT location_id int, OUT location text, OUT units int)
	RETURNS SETOF record LANGUAGE C ROWS 2 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_plan_fulfilment';
COMMENT ON FUNCTION oms.plan_fulfilment(int, bigint, text, text, text) IS 'Makes one fulfilment per location of the units that stock is promised to and that no fulfilment has yet; kits where all their parts are. Returns them with their locations and units. Under line_complete only whole lines are planned, under order_complete the whole order or nothing. Raises OM002 (no such order), OM005 (a hold blocks pick), OM008 (order not confirmed, nothing to plan, or the policy wants more stock first)';

CREATE FUNCTION oms.cancel_fulfilment(merchant int, fulfilment bigint, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_cancel_fulfilment';
COMMENT ON FUNCTION oms.cancel_fulfilment(int, bigint, text, text, text) IS 'Takes back what of a fulfilment has not left: its open cartons are void, its picked units are back on the shelf, and the promise of the order is as it was before the plan. Returns the units taken back. Raises OM002 (no such fulfilment), OM008 (shipped or cancelled already)';

CREATE FUNCTION oms.confirm_pick(merchant int, fulfilment bigint, lines jsonb DEFAULT NULL, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_confirm_pick';
COMMENT ON FUNCTION oms.confirm_pick(int, bigint, jsonb, text, text, text) IS 'Counts units as taken from the shelf. lines: [{"line":1,"quantity":2}], null for all that are open; "lots":["S1",{"lot":"A","quantity":1}] says which lots and serial numbers of tracked items, else setting lot_order does. Returns the units picked by this call. Raises OM001 (not so much of lots that may be sold), OM002 (no such fulfilment, line or lot), OM003 (malformed lines), OM005 (a hold blocks pick), OM007 (more than is asked for), OM008 (nothing to pick; lot expired or stopped), OM011 (lots are not the units)';

CREATE FUNCTION oms.short_pick(merchant int, fulfilment bigint, line int, quantity int, item bigint DEFAULT NULL, adjust boolean DEFAULT true,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_short_pick';
COMMENT ON FUNCTION oms.short_pick(int, bigint, int, int, bigint, boolean, text, text, text) IS 'Units of a line that are not on the shelf: they leave the fulfilment, the location''s promise is released and the units are backordered. With adjust the ledger loses them at the location (cause short pick); of a kit, item names the part that is missing. Returns the units. Raises OM002 (no such fulfilment, line or part), OM005 (a hold blocks pick), OM007 (more than is to pick), OM011 (quantity below 1, or a kit without item)';

CREATE FUNCTION oms.pack(merchant int, fulfilment bigint, lines jsonb DEFAULT NULL, carton bigint DEFAULT NULL, weight_g int DEFAULT NULL,
	length_mm int DEFAULT NULL, width_mm int DEFAULT NULL, height_mm int DEFAULT NULL, sscc text DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_pack';
COMMENT ON FUNCTION oms.pack(int, bigint, jsonb, bigint, int, int, int, int, text, text, text, text) IS 'Puts picked units into a carton: lines [{"line":1,"quantity":2}] ("lots" as in confirm_pick(): these first), null for all that are picked and in no carton; carton null for a new one, else an open one of the fulfilment. weight_g in grams (null: the sum of the items'' weights where all are known), sides in millimetres, sscc 18 digits. Returns the carton. Raises OM002 (no such fulfilment, line or carton), OM003 (malformed lines), OM005 (a hold blocks pick), OM007 (more than is picked), OM008 (nothing to pack; carton left, void or of another fulfilment), OM011 (measure or sscc out of range)';

CREATE FUNCTION oms.unpack(merchant int, carton bigint, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_unpack';
COMMENT ON FUNCTION oms.unpack(int, bigint, text, text, text) IS 'Empties a carton that has not left: its units are picked and in no carton again, the carton is void. Returns the units. Raises OM002 (no such carton), OM008 (not open)';

CREATE FUNCTION oms.ship(merchant int, fulfilment bigint DEFAULT NULL, carrier text DEFAULT NULL, service text DEFAULT NULL, tracking_number text DEFAULT NULL,
	cartons bigint[] DEFAULT NULL, cost numeric DEFAULT NULL, cost_currency text DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_ship';
COMMENT ON FUNCTION oms.ship(int, bigint, text, text, text, bigint[], numeric, text, text, text, text) IS 'Cartons leave as one shipment: those given (of one order), else all open ones of the fulfilment. In one step the promises end and the ledger moves at the locations that packed, the order''s counters move, open service lines are done, the exact share of the money is asked to be captured (charges with the first shipment, the remainder with the last), and the customer is told. carrier and service are codes, null for own delivery; cost is what the carrier takes, in cost_currency (null: the order''s). Returns the shipment. Raises OM002 (no such fulfilment, carton, carrier or service), OM005 (a hold blocks ship), OM006 (promise gone), OM008 (nothing packed, a lot in it expired or stopped, carton left before, another order''s, carrier not active, or the policy wants more packed first), OM011 (argument missing or out of range), OM012, OM017 (cost)';

CREATE FUNCTION oms.ship_order(merchant int, order_id bigint, carrier text DEFAULT NULL, service text DEFAULT NULL, tracking_number text DEFAULT NULL,
	cost numeric DEFAULT NULL, cost_currency text DEFAULT NULL, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_ship_order';
COMMENT ON FUNCTION oms.ship_order(int, bigint, text, text, text, numeric, text, text, text, text) IS 'For shops without a warehouse process: plans, picks, packs (one carton per location) and ships whatever of the order has stock promised to it, as one shipment. Returns the shipment. Raises what plan_fulfilment(), confirm_pick(), pack() and ship() raise';

CREATE FUNCTION oms.complete_services(merchant int, order_id bigint, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_complete_services';
COMMENT ON FUNCTION oms.complete_services(int, bigint, text, text, text) IS 'The open service lines of an order are done: shipped and delivered without stock, carton or carrier; their share is captured. Returns the shipment of kind service that says so. Raises OM002 (no such order), OM005 (a hold blocks ship), OM008 (no open service)';

CREATE FUNCTION oms.forward(merchant int, cartons bigint[], carrier text DEFAULT NULL, service text DEFAULT NULL, tracking_number text DEFAULT NULL,
	cost numeric DEFAULT NULL, cost_currency text DEFAULT NULL, request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS bigint LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_forward';
COMMENT ON FUNCTION oms.forward(int, bigint[], text, text, text, numeric, text, text, text, text) IS 'Cartons of one order that have left go on with another carrier (next leg, or sent again after they came back). No units or money move; from now on this shipment''s delivery delivers them. Returns the shipment. Raises OM002 (no such carton, carrier or service), OM008 (not left yet, or delivered), OM011, OM012, OM017';

CREATE FUNCTION oms.record_tracking(merchant int, shipment bigint, status text, occurred_at timestamptz DEFAULT NULL, event_reference text DEFAULT NULL,
	place text DEFAULT NULL, description text DEFAULT NULL, tracking_number text DEFAULT NULL,
	request_key text DEFAULT NULL, actor text DEFAULT NULL, reason text DEFAULT NULL)
	RETURNS text LANGUAGE C SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_record_tracking';
COMMENT ON FUNCTION oms.record_tracking(int, bigint, text, timestamptz, text, text, text, text, text, text, text) IS 'What a carrier says about a shipment, or (shipment null) about the latest with tracking_number. status: a row of oms.tracking_status; occurred_at: when it happened, default now. Events may come in any order and repeat (same event_reference, or without one same status and instant): the outcome is the same. delivered is final; it delivers the cartons that went no further and tells the customer once. Returns the shipment''s status. Raises OM002 (no such shipment), OM008 (services are not tracked), OM010 (same event_reference with other content), OM011 (unknown status, instant in the future or infinite)';

CREATE FUNCTION oms.packing_slip(merchant int, fulfilment bigint)
	RETURNS jsonb LANGUAGE C STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'oms_packing_slip';
COMMENT ON FUNCTION oms.packing_slip(int, bigint) IS 'Everything for the slip that goes into the box: number, addresses, instructions, lines with parts of kits, cartons. With a gift note there are no prices. Raises OM002 (no such fulfilment)';
