-- The twin: cancelling, moving, capturing and recording as one would write them in PL/pgSQL over equal tables, with the
-- same rules for every writer. The benchmark's reference, and the oracle of test/t/041_twin.pl.
--
-- Copies the orders that are in oms when it is run. Its stock has the units promised as a column, as is usual.
DROP SCHEMA IF EXISTS twin CASCADE;
CREATE SCHEMA twin;

CREATE TABLE twin.sales_order (LIKE oms.sales_order INCLUDING ALL);
CREATE TABLE twin.order_line (LIKE oms.order_line INCLUDING ALL);
CREATE TABLE twin.order_charge (LIKE oms.order_charge INCLUDING ALL);
CREATE TABLE twin.order_hold (LIKE oms.order_hold INCLUDING ALL);
CREATE TABLE twin.reservation (LIKE oms.reservation INCLUDING ALL);
CREATE TABLE twin.stock (LIKE oms.stock INCLUDING ALL, promised bigint NOT NULL DEFAULT 0 CHECK (promised >= 0),
	CHECK (promised <= on_hand - damaged - quality_control - quarantine - safety));
CREATE TABLE twin.payment (LIKE oms.payment INCLUDING ALL);
CREATE TABLE twin.payment_event (LIKE oms.payment_event INCLUDING ALL);
CREATE TABLE twin.refund (LIKE oms.refund INCLUDING ALL);
CREATE TABLE twin.event (LIKE oms.event INCLUDING ALL);
CREATE TABLE twin.task (LIKE oms.task INCLUDING ALL);
CREATE TABLE twin.order_edit (LIKE oms.order_edit INCLUDING ALL);
CREATE TABLE twin.order_cancellation (LIKE oms.order_cancellation INCLUDING ALL);
CREATE TABLE twin.order_change (LIKE oms.order_change INCLUDING ALL);
CREATE TABLE twin.invoice (LIKE oms.invoice INCLUDING ALL);
CREATE TABLE twin.message_template (LIKE oms.message_template INCLUDING ALL);
CREATE TABLE twin.transition (LIKE oms.transition INCLUDING ALL);
ALTER TABLE twin.order_line ADD CONSTRAINT order_line_counters CHECK (ordered > 0 AND cancelled >= 0 AND allocated >= 0 AND backordered >= 0
	AND allocated + backordered + shipped + cancelled <= ordered AND delivered <= shipped AND shipped <= packed AND packed <= picked
	AND picked <= ordered - cancelled AND picked - shipped <= allocated AND return_requested + returned <= shipped);

INSERT INTO twin.sales_order SELECT * FROM oms.sales_order;
INSERT INTO twin.order_line SELECT * FROM oms.order_line;
INSERT INTO twin.order_charge SELECT * FROM oms.order_charge;
INSERT INTO twin.order_hold SELECT * FROM oms.order_hold;
INSERT INTO twin.reservation SELECT * FROM oms.reservation;
INSERT INTO twin.stock SELECT s.*, coalesce((SELECT sum(quantity) FROM oms.reservation r
	WHERE r.merchant_id = s.merchant_id AND r.item_id = s.item_id AND r.location_id = s.location_id), 0) FROM oms.stock s;
INSERT INTO twin.payment SELECT * FROM oms.payment;
INSERT INTO twin.payment_event SELECT * FROM oms.payment_event;
INSERT INTO twin.event SELECT * FROM oms.event;
INSERT INTO twin.task SELECT * FROM oms.task;
-- It reopens nothing.
INSERT INTO twin.transition SELECT * FROM oms.transition WHERE action <> 'reopen';
INSERT INTO twin.message_template SELECT * FROM oms.message_template;
-- The keys of oms, which LIKE leaves out.
ALTER TABLE twin.order_hold ADD FOREIGN KEY (merchant_id, order_id) REFERENCES twin.sales_order;
ALTER TABLE twin.payment ADD FOREIGN KEY (merchant_id, order_id) REFERENCES twin.sales_order;
ALTER TABLE twin.payment_event ADD FOREIGN KEY (merchant_id, payment_id) REFERENCES twin.payment;
ALTER TABLE twin.refund ADD FOREIGN KEY (merchant_id, order_id) REFERENCES twin.sales_order;
ALTER TABLE twin.order_edit ADD FOREIGN KEY (merchant_id, order_id) REFERENCES twin.sales_order;
SELECT setval(pg_get_serial_sequence('twin.' || t, c), 1000000000) FROM (VALUES ('payment_event', 'event_id'), ('event', 'event_id'), ('task', 'task_id'),
	('order_hold', 'hold_id'), ('order_edit', 'edit_id'), ('refund', 'refund_id'), ('reservation', 'reservation_id')) v (t, c);

CREATE FUNCTION twin.units_share(total numeric, units int, from_unit int, to_unit int, exponent int) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	minor numeric := total * power(10::numeric, exponent);
	each numeric := trunc(minor / units);
	rest numeric := minor - each * units;
BEGIN
	RETURN ((to_unit - from_unit) * each + sign(rest) * (least(to_unit, abs(rest)) - least(from_unit, abs(rest)))) / power(10::numeric, exponent);
END $$;

CREATE FUNCTION twin.log(merchant int, order_id bigint, subject_type text, subject_id bigint, type text, reason text, data jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO twin.event (merchant_id, tx, subject_type, subject_id, order_id, type, actor, reason, data)
	VALUES ($1, pg_current_xact_id()::text::bigint, $3, $4, $2, $5, current_user, $6, $7);
END $$;

-- Rows that only functions write, and rows that are facts; of lines anybody may change the instructions.
CREATE FUNCTION twin.guard_command() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF coalesce(current_setting('twin.command', true), '') = '' THEN
		RAISE EXCEPTION 'rows of % are kept by commands', TG_TABLE_NAME USING ERRCODE = 'OM009';
	END IF;
	IF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON twin.payment FOR EACH ROW EXECUTE FUNCTION twin.guard_command();
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON twin.refund FOR EACH ROW EXECUTE FUNCTION twin.guard_command();
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON twin.order_edit FOR EACH ROW EXECUTE FUNCTION twin.guard_command();
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON twin.order_cancellation FOR EACH ROW EXECUTE FUNCTION twin.guard_command();
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON twin.payment_event FOR EACH ROW EXECUTE FUNCTION twin.guard_command();
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON twin.event FOR EACH ROW EXECUTE FUNCTION twin.guard_command();

CREATE FUNCTION twin.guard_line() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	free twin.order_line := NEW;
BEGIN
	IF coalesce(current_setting('twin.command', true), '') = '' THEN
		free.instructions := OLD.instructions;
		IF free IS DISTINCT FROM OLD THEN
			RAISE EXCEPTION 'columns of a line are frozen or counted' USING ERRCODE = 'OM009';
		END IF;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON twin.order_line FOR EACH ROW EXECUTE FUNCTION twin.guard_line();

-- The derived columns of an order, from lines, holds and payments.
CREATE FUNCTION twin.refresh(merchant int, id bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	o twin.sales_order;
	l record;
	p record;
	held boolean;
	cancelled numeric;
	life text;
	pay text;
	ship text;
	back text;
BEGIN
	SELECT * INTO o FROM twin.sales_order WHERE merchant_id = merchant AND order_id = id FOR NO KEY UPDATE;
	SELECT coalesce(sum(ordered), 0) AS units, coalesce(sum(order_line.cancelled), 0) AS cancelled, coalesce(sum(shipped), 0) AS shipped,
		coalesce(sum(delivered), 0) AS delivered, coalesce(sum(return_requested), 0) AS requested, coalesce(sum(returned), 0) AS returned,
		coalesce(sum(CASE WHEN order_line.cancelled > 0 THEN twin.units_share(total, ordered, ordered - order_line.cancelled, ordered, 2) END), 0) AS value
		INTO l FROM twin.order_line WHERE merchant_id = merchant AND order_id = id;
	held := EXISTS (SELECT 1 FROM twin.order_hold WHERE merchant_id = merchant AND order_id = id AND released_at IS NULL);
	life := CASE WHEN l.units > 0 AND l.cancelled = l.units THEN 'cancelled' WHEN o.lifecycle = 'confirmed' AND l.shipped = l.units - l.cancelled THEN 'completed' ELSE o.lifecycle END;
	ship := CASE WHEN l.shipped = 0 THEN 'unfulfilled' WHEN l.shipped < l.units - l.cancelled THEN 'partial' WHEN l.delivered < l.shipped THEN 'fulfilled' ELSE 'delivered' END;
	back := CASE WHEN l.returned = 0 AND l.requested = 0 THEN 'none' WHEN l.returned = 0 THEN 'requested' WHEN l.returned < l.shipped THEN 'partial' ELSE 'returned' END;
	cancelled := l.value;
	IF l.cancelled = l.units AND (l.units > 0 OR o.lifecycle = 'cancelled') THEN
		cancelled := cancelled + coalesce((SELECT sum(total) FROM twin.order_charge WHERE merchant_id = merchant AND order_id = id), 0);
	END IF;
	SELECT coalesce(sum(captured - charged_back), 0) AS captured, coalesce(sum(refunded), 0) AS refunded, coalesce(sum(refund_pending), 0) AS refund_pending,
		coalesce(sum(authorize_pending), 0) AS authorize_pending, coalesce(sum(capture_pending), 0) AS capture_pending,
		coalesce(sum(greatest(authorized - payment.voided - void_pending - expired - payment.captured, 0)), 0) AS held
		INTO p FROM twin.payment WHERE merchant_id = merchant AND order_id = id;
	pay := CASE WHEN p.captured > 0 THEN CASE WHEN p.refunded >= p.captured THEN 'refunded'
				WHEN p.captured - p.refunded - p.refund_pending > o.total - cancelled THEN 'overpaid'
				WHEN p.refunded > 0 THEN 'partially_refunded' WHEN p.captured >= o.total - cancelled THEN 'paid' ELSE 'partial' END
			WHEN o.total = 0 THEN 'paid' WHEN p.held > 0 AND p.held >= o.total - cancelled THEN 'authorized'
			WHEN p.held > 0 OR p.authorize_pending > 0 OR p.capture_pending > 0 THEN 'pending' ELSE 'none' END;
	IF (o.lifecycle, o.payment_state, o.fulfilment_state, o.return_state, o.cancelled_total, o.on_hold) IS DISTINCT FROM (life, pay, ship, back, cancelled, held) THEN
		PERFORM set_config('twin.command', 'on', true);
		UPDATE twin.sales_order SET lifecycle = life, payment_state = pay, fulfilment_state = ship, return_state = back, cancelled_total = cancelled, on_hold = held
			WHERE merchant_id = merchant AND order_id = id;
		PERFORM set_config('twin.command', '', true);
	END IF;
END $$;

CREATE FUNCTION twin.no_hold(merchant int, id bigint, step text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	h twin.order_hold;
BEGIN
	SELECT * INTO h FROM twin.order_hold WHERE merchant_id = merchant AND order_id = id AND released_at IS NULL AND step = ANY (blocks) LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'order % is on hold (%)', id, h.kind USING ERRCODE = 'OM005', DETAIL = coalesce(h.reason, 'no reason given');
	END IF;
END $$;

CREATE FUNCTION twin.guard_order() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	open bigint;
BEGIN
	IF coalesce(current_setting('twin.command', true), '') = '' AND
		(OLD.merchant_id, OLD.order_id, OLD.channel_id, OLD.customer_id, OLD.placed_at, OLD.currency, OLD.payment_state, OLD.fulfilment_state, OLD.return_state,
		 OLD.on_hold, OLD.subtotal, OLD.discount, OLD.shipping, OLD.charges, OLD.tax, OLD.total, OLD.cancelled_total) IS DISTINCT FROM
		(NEW.merchant_id, NEW.order_id, NEW.channel_id, NEW.customer_id, NEW.placed_at, NEW.currency, NEW.payment_state, NEW.fulfilment_state, NEW.return_state,
		 NEW.on_hold, NEW.subtotal, NEW.discount, NEW.shipping, NEW.charges, NEW.tax, NEW.total, NEW.cancelled_total) THEN
		RAISE EXCEPTION 'columns of an order are frozen or derived' USING ERRCODE = 'OM009';
	END IF;
	IF OLD.lifecycle <> NEW.lifecycle THEN
		IF NOT EXISTS (SELECT 1 FROM twin.transition WHERE merchant_id = NEW.merchant_id AND from_state = OLD.lifecycle AND to_state = NEW.lifecycle) THEN
			RAISE EXCEPTION 'order % cannot go from % to %', NEW.order_id, OLD.lifecycle, NEW.lifecycle USING ERRCODE = 'OM004';
		END IF;
		IF NEW.lifecycle = 'confirmed' THEN
			PERFORM twin.no_hold(NEW.merchant_id, NEW.order_id, 'confirm');
		ELSE
			SELECT sum(ordered - cancelled - shipped) INTO open FROM twin.order_line WHERE merchant_id = NEW.merchant_id AND order_id = NEW.order_id;
			IF open > 0 THEN
				RAISE EXCEPTION 'order % cannot be % yet', NEW.order_id, NEW.lifecycle USING ERRCODE = 'OM008', DETAIL = format('%s units are neither shipped nor cancelled', open);
			END IF;
		END IF;
	END IF;
	NEW.revision := OLD.revision + 1;
	RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON twin.sales_order FOR EACH ROW EXECUTE FUNCTION twin.guard_order();

CREATE FUNCTION twin.order_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM twin.log(NEW.merchant_id, NEW.order_id, 'order', NEW.order_id, CASE WHEN NEW.lifecycle IN ('confirmed', 'cancelled', 'completed') THEN 'order.' || NEW.lifecycle ELSE 'order.transitioned' END,
		current_setting('twin.reason', true), jsonb_build_object('from', OLD.lifecycle, 'to', NEW.lifecycle));
	PERFORM twin.refresh(NEW.merchant_id, NEW.order_id);
	RETURN NULL;
END $$;
CREATE TRIGGER moved AFTER UPDATE ON twin.sales_order FOR EACH ROW WHEN (OLD.lifecycle <> NEW.lifecycle) EXECUTE FUNCTION twin.order_moved();

CREATE FUNCTION twin.lines_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM twin.refresh(merchant_id, order_id) FROM (SELECT DISTINCT merchant_id, order_id FROM changed) c;
	RETURN NULL;
END $$;
CREATE TRIGGER changed AFTER UPDATE ON twin.order_line REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION twin.lines_changed();

CREATE FUNCTION twin.hold_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM twin.refresh(NEW.merchant_id, NEW.order_id);
	RETURN NULL;
END $$;
CREATE TRIGGER changed AFTER INSERT OR UPDATE ON twin.order_hold FOR EACH ROW EXECUTE FUNCTION twin.hold_changed();

-- The history: what changed of each row, before and after.
CREATE FUNCTION twin.history() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	is_now jsonb := to_jsonb(NEW);
	was jsonb := CASE WHEN TG_OP = 'UPDATE' THEN to_jsonb(OLD) END;
BEGIN
	IF TG_OP = 'UPDATE' THEN
		SELECT jsonb_object_agg(o.key, o.value), jsonb_object_agg(o.key, n.value) INTO was, is_now
			FROM jsonb_each(was) o JOIN jsonb_each(is_now) n ON n.key = o.key WHERE o.value <> n.value;
		IF was IS NULL THEN
			RETURN NULL;
		END IF;
	END IF;
	INSERT INTO twin.order_change (merchant_id, order_id, at, tx, table_name, operation, key, old, new, actor, reason)
	VALUES (NEW.merchant_id, NEW.order_id, now(), pg_current_xact_id()::text::bigint, TG_TABLE_NAME, lower(TG_OP),
		CASE TG_TABLE_NAME WHEN 'order_line' THEN jsonb_build_object('line_no', to_jsonb(NEW) -> 'line_no')
			WHEN 'order_hold' THEN jsonb_build_object('hold_id', to_jsonb(NEW) -> 'hold_id') ELSE '{}' END,
		was, is_now, current_user, nullif(current_setting('twin.reason', true), ''));
	RETURN NULL;
END $$;
CREATE TRIGGER a_history AFTER UPDATE ON twin.sales_order FOR EACH ROW EXECUTE FUNCTION twin.history();
CREATE TRIGGER a_history AFTER UPDATE ON twin.order_line FOR EACH ROW EXECUTE FUNCTION twin.history();
CREATE TRIGGER a_history AFTER INSERT OR UPDATE ON twin.order_hold FOR EACH ROW EXECUTE FUNCTION twin.history();

-- Promises: the stock's row says how many, and its constraint how many there may be.
CREATE FUNCTION twin.promises_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE twin.stock SET promised = promised + CASE TG_OP WHEN 'DELETE' THEN -OLD.quantity WHEN 'UPDATE' THEN NEW.quantity - OLD.quantity ELSE NEW.quantity END
		WHERE (merchant_id, item_id, location_id) = (coalesce(NEW.merchant_id, OLD.merchant_id), coalesce(NEW.item_id, OLD.item_id), coalesce(NEW.location_id, OLD.location_id));
	RETURN NULL;
END $$;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON twin.reservation FOR EACH ROW EXECUTE FUNCTION twin.promises_changed();

-- Amounts of a payment folded from its events: of the facts of one reference the newest counts, requests not answered are pending.
CREATE FUNCTION twin.fold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	p twin.payment;
	e twin.payment_event;
	fact record;
	room numeric;
	amounts jsonb := '{}';
	pending jsonb := '{}';
	answered bigint[] := '{}';
	request record;
	b record;
	class text;
BEGIN
	PERFORM 1 FROM twin.sales_order o JOIN twin.payment y ON y.merchant_id = o.merchant_id AND y.order_id = o.order_id
		WHERE y.merchant_id = NEW.merchant_id AND y.payment_id = NEW.payment_id FOR NO KEY UPDATE OF o;
	SELECT * INTO p FROM twin.payment WHERE merchant_id = NEW.merchant_id AND payment_id = NEW.payment_id FOR NO KEY UPDATE;
	room := CASE NEW.kind WHEN 'capture_requested' THEN p.authorized - p.voided - p.void_pending - p.expired - p.captured - p.capture_pending
		WHEN 'void_requested' THEN p.authorized - p.voided - p.void_pending - p.expired - p.captured - p.capture_pending
		WHEN 'refund_requested' THEN p.captured - p.charged_back - p.refunded - p.refund_pending END;
	IF NEW.amount > room THEN
		RAISE EXCEPTION 'payment % has not so much left', p.payment_id USING ERRCODE = 'OM007', DETAIL = format('%s of %s', NEW.amount, room);
	END IF;
	FOR fact IN SELECT DISTINCT ON (split_part(kind, '_', 1), event_reference) * FROM twin.payment_event
		WHERE merchant_id = NEW.merchant_id AND payment_id = NEW.payment_id AND kind NOT LIKE '%\_requested' ORDER BY split_part(kind, '_', 1), event_reference, occurred_at DESC, event_id DESC
	LOOP
		class := CASE split_part(fact.kind, '_', 1) WHEN 'authorized' THEN 'authorize' WHEN 'authorization' THEN 'authorize' WHEN 'captured' THEN 'capture' WHEN 'voided' THEN 'void' WHEN 'refunded' THEN 'refund'
			ELSE split_part(fact.kind, '_', 1) END;
		SELECT event_id, amount INTO request FROM twin.payment_event WHERE merchant_id = NEW.merchant_id AND payment_id = NEW.payment_id AND kind = class || '_requested'
			AND event_id <> ALL (answered) AND (event_id = fact.intent_id OR (fact.intent_id IS NULL AND amount = fact.amount)) ORDER BY event_id LIMIT 1;
		IF FOUND THEN
			answered := answered || request.event_id;
		END IF;
		IF fact.kind NOT LIKE '%failed' THEN
			amounts := amounts || jsonb_build_object(class, coalesce((amounts ->> class)::numeric, 0) + fact.amount);
		END IF;
	END LOOP;
	FOR request IN SELECT event_id, replace(kind, '_requested', '') AS class, amount FROM twin.payment_event
		WHERE merchant_id = NEW.merchant_id AND payment_id = NEW.payment_id AND kind LIKE '%\_requested' AND event_id <> ALL (answered)
	LOOP
		pending := pending || jsonb_build_object(request.class, coalesce((pending ->> request.class)::numeric, 0) + request.amount);
	END LOOP;
	PERFORM set_config('twin.command', 'on', true);
	UPDATE twin.payment SET authorized = coalesce((amounts ->> 'authorize')::numeric, 0), captured = coalesce((amounts ->> 'capture')::numeric, 0),
		voided = coalesce((amounts ->> 'void')::numeric, 0), refunded = coalesce((amounts ->> 'refund')::numeric, 0),
		authorize_pending = coalesce((pending ->> 'authorize')::numeric, 0), capture_pending = coalesce((pending ->> 'capture')::numeric, 0),
		void_pending = coalesce((pending ->> 'void')::numeric, 0), refund_pending = coalesce((pending ->> 'refund')::numeric, 0)
		WHERE merchant_id = NEW.merchant_id AND payment_id = NEW.payment_id;
	PERFORM set_config('twin.command', '', true);
	IF NEW.kind IN ('capture_requested', 'refund_requested') THEN
		SELECT * INTO b FROM twin.balance(NEW.merchant_id, p.order_id);
		IF NEW.kind = 'capture_requested' AND b.due + b.refund_due < 0 OR NEW.kind = 'refund_requested' AND b.refundable < 0 THEN
			RAISE EXCEPTION 'order % does not owe or have so much', p.order_id USING ERRCODE = 'OM007', DETAIL = format('%s beyond', -least(b.due + b.refund_due, b.refundable));
		END IF;
	END IF;
	IF NEW.kind LIKE '%\_requested' THEN
		INSERT INTO twin.task (merchant_id, kind, order_id, subject_type, subject_id, dedup_key, payload)
		VALUES (NEW.merchant_id, replace(NEW.kind, '_requested', ''), p.order_id, 'payment', p.payment_id, NEW.event_reference, jsonb_build_object('payment', p.payment_id, 'intent', NEW.event_id,
			'reference', NEW.event_reference, 'order', p.order_id, 'method', p.method, 'gateway', p.gateway, 'amount', NEW.amount, 'currency', p.currency));
	END IF;
	PERFORM twin.log(NEW.merchant_id, p.order_id, 'payment', p.payment_id, CASE WHEN NEW.kind LIKE '%\_requested' THEN 'payment.requested' ELSE 'payment.' || NEW.kind END, NEW.reason,
		jsonb_build_object('payment', p.payment_id, 'kind', NEW.kind, 'amount', NEW.amount, 'currency', p.currency, 'reference', NEW.event_reference, 'data', NEW.data));
	PERFORM twin.refresh(NEW.merchant_id, p.order_id);
	RETURN NULL;
END $$;
CREATE TRIGGER fold AFTER INSERT ON twin.payment_event FOR EACH ROW EXECUTE FUNCTION twin.fold();

CREATE FUNCTION twin.request(merchant int, payment bigint, kind text, amount numeric, refund bigint DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	id bigint := nextval(pg_get_serial_sequence('twin.payment_event', 'event_id'));
BEGIN
	INSERT INTO twin.payment_event (merchant_id, payment_id, event_id, refund_id, amount, kind, event_reference, data)
	VALUES ($1, $2, id, $5, $4, $3 || '_requested', format('oms-%s-%s-%s', $2, $3, id), '{}');
	RETURN id;
END $$;

CREATE FUNCTION twin.lock_order(merchant int, id bigint) RETURNS twin.sales_order LANGUAGE plpgsql AS $$
DECLARE
	o twin.sales_order;
BEGIN
	SELECT * INTO o FROM twin.sales_order WHERE merchant_id = merchant AND order_id = id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no order %', id USING ERRCODE = 'OM002';
	END IF;
	RETURN o;
END $$;

-- What an order owes, what of it is on its way, and what refunds wait for.
CREATE FUNCTION twin.balance(merchant int, id bigint, OUT capturable numeric, OUT refundable numeric, OUT due numeric, OUT refund_due numeric) LANGUAGE plpgsql AS $$
DECLARE
	o twin.sales_order;
	pending numeric;
BEGIN
	SELECT * INTO o FROM twin.sales_order WHERE merchant_id = merchant AND order_id = id;
	SELECT coalesce(sum(greatest(authorized - voided - void_pending - expired - captured - capture_pending, 0)), 0),
		coalesce(sum(captured - charged_back - refunded - refund_pending), 0), coalesce(sum(capture_pending), 0)
		INTO capturable, refundable, pending FROM twin.payment WHERE merchant_id = merchant AND order_id = id;
	due := greatest(o.total - o.cancelled_total, 0) - refundable - pending;
	SELECT coalesce(sum(greatest(amount - moved - r.pending, 0)), 0) INTO refund_due FROM twin.refund r WHERE merchant_id = merchant AND order_id = id;
END $$;

-- Asks the payments, the newest first, for at most so much of what a refund has not been asked for.
CREATE FUNCTION twin.move_refund(merchant int, id bigint, which bigint, at_most numeric) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	want numeric;
	asked numeric := 0;
	part numeric;
	p record;
BEGIN
	SELECT least(amount - moved - pending, at_most, (SELECT refundable FROM twin.balance(merchant, id))) INTO want
		FROM twin.refund WHERE merchant_id = merchant AND refund_id = which;
	FOR p IN SELECT payment_id, captured - charged_back - refunded - refund_pending AS room FROM twin.payment WHERE merchant_id = merchant AND order_id = id ORDER BY payment_id DESC
	LOOP
		part := least(p.room, want - asked);
		IF part > 0 THEN
			PERFORM twin.request(merchant, p.payment_id, 'refund', part, which);
			asked := asked + part;
		END IF;
	END LOOP;
	IF asked > 0 THEN
		PERFORM set_config('twin.command', 'on', true);
		UPDATE twin.refund SET pending = pending + asked, state = 'requested' WHERE merchant_id = merchant AND refund_id = which;
		PERFORM set_config('twin.command', '', true);
	END IF;
	RETURN asked;
END $$;

-- Gives back what a cancellation left too much of: voids before refunds, the newest payment first.
CREATE FUNCTION twin.give_back(merchant int, id bigint, at_most numeric) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	o twin.sales_order := twin.lock_order(merchant, id);
	b record;
	want numeric;
	given numeric;
	part numeric;
	p record;
	which bigint;
BEGIN
	PERFORM 1 FROM twin.payment WHERE merchant_id = merchant AND order_id = id ORDER BY payment_id FOR NO KEY UPDATE;
	SELECT * INTO b FROM twin.balance(merchant, id);
	want := least(b.capturable - b.due - b.refund_due, at_most);
	IF want <= 0 OR NOT FOUND THEN
		RETURN 0;
	END IF;
	given := want;
	FOR p IN SELECT payment_id, authorized - voided - void_pending - expired - captured - capture_pending AS room FROM twin.payment
		WHERE merchant_id = merchant AND order_id = id ORDER BY payment_id DESC
	LOOP
		part := least(p.room, want);
		IF part > 0 THEN
			PERFORM twin.request(merchant, p.payment_id, 'void', part);
			want := want - part;
		END IF;
	END LOOP;
	IF want <= 0 THEN
		RETURN given;
	END IF;
	PERFORM set_config('twin.command', 'on', true);
	INSERT INTO twin.refund (merchant_id, order_id, cause, cause_id, granted_at, amount, tax, lines_amount, shipping, shipping_tax, fee, fixed_fee, currency, state, actor)
	VALUES (merchant, id, 'cancel', id, now(), want, 0, 0, 0, 0, 0, 0, o.currency, 'granted', current_user) RETURNING refund_id INTO which;
	PERFORM set_config('twin.command', '', true);
	PERFORM twin.log(merchant, id, 'refund', which, 'refund.granted', NULL, jsonb_build_object('refund', which, 'cause', 'cancel', 'amount', want));
	PERFORM twin.move_refund(merchant, id, which, want);
	RETURN given;
END $$;

-- Money after a cancellation, and its row.
CREATE FUNCTION twin.settle(merchant int, id bigint, line int, units int, owed numeric) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	less numeric;
	given numeric;
BEGIN
	SELECT owed - (total - cancelled_total) INTO less FROM twin.sales_order WHERE merchant_id = merchant AND order_id = id;
	given := twin.give_back(merchant, id, less);
	PERFORM set_config('twin.command', 'on', true);
	INSERT INTO twin.order_cancellation (merchant_id, order_id, line_no, quantity, cancelled_at, discount_policy, amount, given_back, restock, refund, notify, actor)
	VALUES (merchant, id, line, units, now(), 'share', less, given, true, true, true, current_user);
	PERFORM set_config('twin.command', '', true);
END $$;

CREATE FUNCTION twin.transition(merchant int, id bigint, to_state text, reason text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	o twin.sales_order := twin.lock_order(merchant, id);
BEGIN
	PERFORM set_config('twin.reason', coalesce(reason, ''), true);
	UPDATE twin.sales_order SET lifecycle = to_state WHERE merchant_id = merchant AND order_id = id;
	RETURN to_state;
END $$;

CREATE FUNCTION twin.hold(merchant int, id bigint, kind text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	o twin.sales_order := twin.lock_order(merchant, id);
BEGIN
	IF o.lifecycle = 'cancelled' THEN
		RAISE EXCEPTION 'order % is cancelled', id USING ERRCODE = 'OM008';
	END IF;
	INSERT INTO twin.order_hold (merchant_id, order_id, kind) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;
	IF FOUND THEN
		PERFORM twin.log(merchant, id, 'order', id, 'order.held', NULL, jsonb_build_object('kind', kind));
	END IF;
END $$;

CREATE FUNCTION twin.cancel_line(merchant int, id bigint, line int, units int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	o twin.sales_order := twin.lock_order(merchant, id);
	l twin.order_line;
	open int;
	from_backorder int;
	from_promise int;
	release int;
	r record;
BEGIN
	PERFORM twin.no_hold(merchant, id, 'cancel');
	SELECT * INTO l FROM twin.order_line WHERE merchant_id = merchant AND order_id = id AND line_no = line;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'order % has no line %', id, line USING ERRCODE = 'OM002';
	END IF;
	open := l.ordered - l.cancelled - l.picked;
	IF units > open THEN
		RAISE EXCEPTION 'line % of order % has no % units to cancel', line, id, units USING ERRCODE = 'OM007';
	END IF;
	from_backorder := least(l.backordered, units);
	from_promise := greatest(units - from_backorder - (l.ordered - l.cancelled - l.shipped - l.allocated - l.backordered), 0);
	release := from_promise;
	FOR r IN SELECT location_id, item_id, reservation_id, quantity FROM twin.reservation WHERE merchant_id = merchant AND order_id = id AND line_no = line ORDER BY reservation_id DESC
	LOOP
		EXIT WHEN release = 0;
		IF r.quantity <= release THEN
			DELETE FROM twin.reservation WHERE merchant_id = merchant AND item_id = r.item_id AND location_id = r.location_id AND reservation_id = r.reservation_id;
		ELSE
			UPDATE twin.reservation SET quantity = quantity - release WHERE merchant_id = merchant AND item_id = r.item_id AND location_id = r.location_id AND reservation_id = r.reservation_id;
		END IF;
		release := release - least(release, r.quantity);
	END LOOP;
	PERFORM set_config('twin.command', 'on', true);
	UPDATE twin.order_line SET cancelled = cancelled + units, backordered = backordered - from_backorder, allocated = allocated - from_promise
		WHERE merchant_id = merchant AND order_id = id AND line_no = line;
	PERFORM set_config('twin.command', '', true);
	PERFORM twin.log(merchant, id, 'order', id, 'order.line_cancelled', NULL, jsonb_build_object('line', line, 'quantity', units));
	PERFORM twin.settle(merchant, id, line, units, o.total - o.cancelled_total);
	RETURN units;
END $$;

CREATE FUNCTION twin.cancel_order(merchant int, id bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	o twin.sales_order := twin.lock_order(merchant, id);
BEGIN
	IF o.lifecycle = 'cancelled' THEN
		RETURN id;
	END IF;
	PERFORM twin.no_hold(merchant, id, 'cancel');
	IF o.fulfilment_state <> 'unfulfilled' OR o.lifecycle = 'completed' THEN
		RAISE EXCEPTION 'order % has shipped units', id USING ERRCODE = 'OM008';
	END IF;
	DELETE FROM twin.reservation WHERE merchant_id = merchant AND order_id = id;
	PERFORM set_config('twin.command', 'on', true);
	UPDATE twin.order_line SET cancelled = ordered, allocated = 0, backordered = 0, picked = 0, packed = 0 WHERE merchant_id = merchant AND order_id = id;
	PERFORM set_config('twin.command', '', true);
	PERFORM twin.settle(merchant, id, NULL, 0, o.total - o.cancelled_total);
	RETURN id;
END $$;

CREATE FUNCTION twin.capture(merchant int, which bigint, units numeric) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	p twin.payment;
	o twin.sales_order;
BEGIN
	SELECT * INTO p FROM twin.payment WHERE merchant_id = merchant AND payment_id = which;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no payment %', which USING ERRCODE = 'OM002';
	END IF;
	o := twin.lock_order(merchant, p.order_id);
	IF o.lifecycle = 'cancelled' THEN
		RAISE EXCEPTION 'order % is cancelled', p.order_id USING ERRCODE = 'OM008';
	END IF;
	PERFORM twin.no_hold(merchant, p.order_id, 'capture');
	RETURN twin.request(merchant, which, 'capture', units);
END $$;

CREATE FUNCTION twin.record(merchant int, payment bigint, kind text, amount numeric, reference text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	id bigint;
	r record;
	over numeric;
BEGIN
	PERFORM 1 FROM twin.payment_event e WHERE e.merchant_id = merchant AND e.payment_id = payment AND e.kind = $3 AND e.event_reference = reference;
	IF FOUND THEN
		RETURN;
	END IF;
	INSERT INTO twin.payment_event (merchant_id, payment_id, amount, kind, event_reference, data) VALUES ($1, $2, $4, $3, $5, '{}');
	IF kind <> 'captured' THEN
		RETURN;
	END IF;
	SELECT p.order_id INTO id FROM twin.payment p WHERE p.merchant_id = merchant AND p.payment_id = payment;
	over := -(SELECT due FROM twin.balance(merchant, id));
	FOR r IN SELECT refund_id FROM twin.refund f WHERE f.merchant_id = merchant AND f.order_id = id AND f.amount - f.moved - f.pending > 0 ORDER BY refund_id
	LOOP
		EXIT WHEN over <= 0;
		over := over - twin.move_refund(merchant, id, r.refund_id, over);
	END LOOP;
END $$;

-- Edits of quantities, as a change set: opened, then confirmed.
CREATE FUNCTION twin.edit_order(merchant int, id bigint, changes jsonb, reason text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	o twin.sales_order := twin.lock_order(merchant, id);
	c record;
	l twin.order_line;
	edit bigint;
BEGIN
	PERFORM twin.no_hold(merchant, id, 'edit');
	IF o.lifecycle NOT IN ('placed', 'confirmed') THEN
		RAISE EXCEPTION 'order % is %', id, o.lifecycle USING ERRCODE = 'OM008';
	END IF;
	PERFORM set_config('twin.command', 'on', true);
	UPDATE twin.order_edit e SET state = 'expired', closed_at = now() WHERE e.merchant_id = merchant AND e.order_id = id AND e.state = 'open' AND e.expires_at <= now();
	IF EXISTS (SELECT 1 FROM twin.order_edit e WHERE e.merchant_id = merchant AND e.order_id = id AND e.state = 'open') THEN
		RAISE EXCEPTION 'order % has an open edit', id USING ERRCODE = 'OM008';
	END IF;
	FOR c IN SELECT (x ->> 'line')::int AS line, (x ->> 'quantity')::int AS quantity, x ->> 'action' AS action FROM jsonb_array_elements(changes) x
	LOOP
		SELECT * INTO l FROM twin.order_line WHERE merchant_id = merchant AND order_id = id AND line_no = c.line;
		IF NOT FOUND OR c.action <> 'quantity' OR c.quantity < l.picked THEN
			RAISE EXCEPTION 'the change is malformed' USING ERRCODE = 'OM003';
		END IF;
	END LOOP;
	INSERT INTO twin.order_edit (merchant_id, order_id, state, discount_policy, changes, opened_at, expires_at, opened_by, reason)
	VALUES ($1, $2, 'open', 'keep', $3, now(), now() + interval '1 day', current_user, $4) RETURNING edit_id INTO edit;
	PERFORM set_config('twin.command', '', true);
	PERFORM twin.log(merchant, id, 'order', id, 'order.edit_opened', reason, jsonb_build_object('edit', edit));
	RETURN edit;
END $$;

CREATE FUNCTION twin.confirm_edit(merchant int, id bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	o twin.sales_order := twin.lock_order(merchant, id);
	e twin.order_edit;
	c record;
	l twin.order_line;
	after twin.order_line;
	s twin.sales_order;
	told jsonb := '[]';
	more int;
	amount numeric;
	tax_now numeric;
	paid numeric;
BEGIN
	SELECT * INTO e FROM twin.order_edit WHERE merchant_id = merchant AND order_id = id AND state = 'open';
	IF NOT FOUND OR e.expires_at <= now() THEN
		RAISE EXCEPTION 'order % has no open edit', id USING ERRCODE = 'OM002';
	END IF;
	PERFORM twin.no_hold(merchant, id, 'edit');
	FOR c IN SELECT (x ->> 'line')::int AS line, (x ->> 'quantity')::int AS quantity FROM jsonb_array_elements(e.changes) x
	LOOP
		SELECT * INTO l FROM twin.order_line WHERE merchant_id = merchant AND order_id = id AND line_no = c.line;
		more := c.quantity - (l.ordered - l.cancelled);
		IF more > 0 AND (l.shipped > 0 OR EXISTS (SELECT 1 FROM twin.invoice i WHERE i.merchant_id = merchant AND i.order_id = id)) THEN
			RAISE EXCEPTION 'line % is shipped or invoiced', c.line USING ERRCODE = 'OM008';
		END IF;
		IF c.quantity < l.picked THEN
			RAISE EXCEPTION 'line % has % picked units', c.line, l.picked USING ERRCODE = 'OM007';
		ELSIF more < 0 THEN
			PERFORM twin.cancel_line(merchant, id, c.line, -more);
		ELSIF more > 0 THEN
			INSERT INTO twin.reservation (merchant_id, location_id, item_id, order_id, line_no, quantity) VALUES (merchant, 1, l.item_id, id, c.line, more);
			amount := round(l.unit_price * (l.ordered + more), 2) - l.discount;
			tax_now := CASE WHEN o.tax_included THEN round(amount * l.tax_rate / (1 + l.tax_rate), 2) ELSE round(amount * l.tax_rate, 2) END;
			PERFORM set_config('twin.command', 'on', true);
			UPDATE twin.order_line SET ordered = ordered + more, allocated = allocated + more, tax = tax_now,
				total = amount + CASE WHEN o.tax_included THEN 0 ELSE tax_now END WHERE merchant_id = merchant AND order_id = id AND line_no = c.line;
		END IF;
		IF more <> 0 THEN
			SELECT * INTO after FROM twin.order_line WHERE merchant_id = merchant AND order_id = id AND line_no = c.line;
			told := told || (SELECT coalesce(jsonb_agg(jsonb_build_object('object', 'line ' || c.line, 'field', v.field, 'before', v.was, 'after', v.becomes)), '[]')
				FROM (VALUES ('ordered', l.ordered::text, after.ordered::text), ('cancelled', l.cancelled::text, after.cancelled::text),
					('allocated', l.allocated::text, after.allocated::text), ('backordered', l.backordered::text, after.backordered::text),
					('discount', l.discount::text, after.discount::text), ('tax', l.tax::text, after.tax::text), ('total', l.total::text, after.total::text)) v (field, was, becomes)
				WHERE v.was <> v.becomes);
		END IF;
	END LOOP;
	PERFORM set_config('twin.command', 'on', true);
	UPDATE twin.sales_order u SET subtotal = t.subtotal, discount = t.discount, tax = t.tax + t.charge_tax, total = t.total + t.charge_total
		FROM (SELECT sum(round(ordered * unit_price, 2)) AS subtotal, sum(discount) AS discount, sum(tax) AS tax, sum(total) AS total,
			coalesce((SELECT sum(h.tax) FROM twin.order_charge h WHERE h.merchant_id = merchant AND h.order_id = id), 0) AS charge_tax,
			coalesce((SELECT sum(h.total) FROM twin.order_charge h WHERE h.merchant_id = merchant AND h.order_id = id), 0) AS charge_total
			FROM twin.order_line WHERE merchant_id = merchant AND order_id = id) t
		WHERE u.merchant_id = merchant AND u.order_id = id;
	PERFORM set_config('twin.command', '', true);
	PERFORM twin.refresh(merchant, id);
	SELECT * INTO s FROM twin.sales_order u WHERE u.merchant_id = merchant AND u.order_id = id;
	told := (SELECT coalesce(jsonb_agg(jsonb_build_object('object', 'order', 'field', v.field, 'before', v.was, 'after', v.becomes)), '[]')
		FROM (VALUES ('subtotal', o.subtotal::text, s.subtotal::text), ('discount', o.discount::text, s.discount::text), ('tax', o.tax::text, s.tax::text),
			('total', o.total::text, s.total::text), ('cancelled_total', o.cancelled_total::text, s.cancelled_total::text)) v (field, was, becomes)
		WHERE v.was <> v.becomes) || told;
	SELECT coalesce(sum(authorized - voided - void_pending - expired - captured) + sum(captured - charged_back - refunded - refund_pending), 0) INTO paid
		FROM twin.payment WHERE merchant_id = merchant AND order_id = id;
	PERFORM set_config('twin.command', 'on', true);
	UPDATE twin.order_edit ed SET state = 'confirmed', closed_at = now(), closed_by = current_user, revision = s.revision, total_before = o.total - o.cancelled_total,
		total_after = s.total - s.cancelled_total, given_back = 0, to_pay = greatest(s.total - s.cancelled_total - paid, 0)
		WHERE ed.merchant_id = merchant AND ed.order_id = id AND ed.edit_id = e.edit_id;
	PERFORM set_config('twin.command', '', true);
	PERFORM twin.log(merchant, id, 'order', id, 'order.edited', NULL, jsonb_build_object('edit', e.edit_id, 'discount_policy', e.discount_policy, 'changes', told,
		'to_pay', greatest(s.total - s.cancelled_total - paid, 0)));
	RETURN e.edit_id;
END $$;

ANALYZE twin.sales_order, twin.order_line, twin.reservation, twin.stock, twin.payment, twin.payment_event, twin.event;
