/*-------------------------------------------------------------------------
 * transfer.c
 *	  Transfers between locations, in two steps: units leave with one movement
 *	  and arrive with others.  Between them they are nowhere, so nobody is
 *	  promised them; what does not arrive is said to be missing, never silently.
 *
 *	  Each command locks the transfer first, then the shelves of one location in
 *	  the order of items, so two of them cannot wait for each other.
 *-------------------------------------------------------------------------
 */
#include "core/oms.h"

#include "core/guard.h"
#include "core/json.h"
#include "core/request.h"
#include "event/event.h"
#include "fulfilment/fulfilment.h"
#include "inventory/inventory.h"
#include "inventory/transfer.h"

PG_FUNCTION_INFO_V1(oms_transfer_stock);
PG_FUNCTION_INFO_V1(oms_ship_transfer);
PG_FUNCTION_INFO_V1(oms_receive_transfer);
PG_FUNCTION_INFO_V1(oms_cancel_transfer);

#define MAX_LINES 10000

enum
{
	ST_INSERT,
	ST_INSERT_LINES,
	ST_LOCK,
	ST_LINES,
	ST_SHIPPED,
	ST_COUNT,
	ST_COUNT_LOTS,
	ST_RECEIPT,
	ST_CLOSE
};

static OmsStatement statements[] = {
	[ST_INSERT] = {
		"INSERT INTO oms.stock_transfer (merchant_id, from_location, to_location, state, created_at, expected_at, reason, actor) "
		"VALUES ($1, $2, $3, 'draft', $4, $5, $6, $7) RETURNING transfer_id",
		7, {INT4OID, INT4OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	},
	[ST_INSERT_LINES] = {
		"INSERT INTO oms.stock_transfer_line (merchant_id, item_id, transfer_id, quantity) "
		"SELECT $1, v.item_id, $2, v.quantity FROM unnest($3::bigint[], $4::bigint[]) v(item_id, quantity)",
		4, {INT4OID, INT8OID, INT8ARRAYOID, INT8ARRAYOID}
	},
	[ST_LOCK] = {
		"SELECT state, from_location, to_location FROM oms.stock_transfer WHERE merchant_id = $1 AND transfer_id = $2 FOR NO KEY UPDATE",
		2, {INT4OID, INT8OID}
	},
	[ST_LINES] = {
		"SELECT item_id, quantity, received, missing FROM oms.stock_transfer_line "
		"WHERE merchant_id = $1 AND transfer_id = $2 ORDER BY item_id",
		2, {INT4OID, INT8OID}
	},
	[ST_SHIPPED] = {
		"UPDATE oms.stock_transfer SET state = 'shipped', shipped_at = $3 WHERE merchant_id = $1 AND transfer_id = $2",
		3, {INT4OID, INT8OID, TIMESTAMPTZOID}
	},
	[ST_COUNT] = {
		"UPDATE oms.stock_transfer_line l SET received = l.received + v.received, missing = l.missing + v.missing, "
		"surplus = l.surplus + v.surplus "
		"FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) v(item_id, received, missing, surplus) "
		"WHERE l.merchant_id = $1 AND l.transfer_id = $2 AND l.item_id = v.item_id",
		6, {INT4OID, INT8OID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID}
	},
	[ST_COUNT_LOTS] = {
		"UPDATE oms.stock_transfer_lot l SET received = l.received + v.received, missing = l.missing + v.missing, "
		"surplus = l.surplus + v.surplus FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) "
		"v(item_id, received, missing, surplus, lot_id) "
		"WHERE l.merchant_id = $1 AND l.transfer_id = $2 AND l.item_id = v.item_id AND l.lot_id = v.lot_id",
		7, {INT4OID, INT8OID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID}
	},
	[ST_RECEIPT] = {
		"INSERT INTO oms.stock_transfer_receipt (merchant_id, item_id, transfer_id, received, damaged, missing, surplus, received_at, "
		"reason, actor) SELECT $1, v.item_id, $2, v.received, v.damaged, v.missing, v.surplus, $8, "
		"CASE WHEN v.missing <> 0 OR v.surplus <> 0 THEN $9 END, $10 "
		"FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) "
		"v(item_id, received, missing, surplus, damaged)",
		10, {INT4OID, INT8OID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	},
	[ST_CLOSE] = {
		"UPDATE oms.stock_transfer SET state = $3, closed_at = $4 WHERE merchant_id = $1 AND transfer_id = $2",
		4, {INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID}
	},
};

static int
compare_lines(const void *a, const void *b)
{
	const OmsTransferLine *x = a;
	const OmsTransferLine *y = b;

	return x->item < y->item ? -1 : x->item > y->item;
}

/*
 * Reads [{"item", "quantity", "lots"}], for a receipt with "damaged", "missing"
 * and "missing_lots" too; sorts it by item.  OM003 with the path where it is none, or names an item
 * twice.
 */
static OmsTransferLine *
read_document(Jsonb *document, bool receipt, int *n)
{
	static const char *const shipped[] = {"item", "quantity", "lots", NULL};
	static const char *const received[] = {"item", "quantity", "damaged", "missing", "lots", "missing_lots", NULL};
	OmsPath		root = {NULL, "lines", 0};
	JsonbContainer *array = &document->root;
	OmsTransferLine *lines;
	int			count;
	int			i;

	if (!JsonContainerIsArray(array) || JsonContainerIsScalar(array))
		oms_error_document(&root, NULL, "an array of {\"item\", \"quantity\"}");
	count = JsonContainerSize(array);
	if (count < 1 || count > MAX_LINES)
		oms_error_document(&root, NULL, psprintf("1 to %d lines", MAX_LINES));
	lines = palloc0(count * sizeof(OmsTransferLine));
	for (i = 0; i < count; i++)
	{
		OmsPath		path = {&root, NULL, i};
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);
		JsonbContainer *object;
		OmsTransferLine *line = &lines[i];
		bool		given;

		if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
			oms_error_document(&path, NULL, "an object {\"item\", \"quantity\"}");
		object = value->val.binary.data;
		oms_json_only(object, &path, receipt ? received : shipped);
		if (!oms_json_int64(object, &path, "item", 1, PG_INT64_MAX, &line->item))
			oms_error_document(&path, "item", "the id of an item");
		given = oms_json_int64(object, &path, "quantity", receipt ? 0 : 1, OMS_MAX_STOCK, &line->quantity);
		if (receipt && oms_json_int64(object, &path, "missing", 0, OMS_MAX_STOCK, &line->missing))
			given = true;
		if (!given || line->quantity + line->missing == 0)
			oms_error_document(&path, "quantity", "a number of units");
		if (receipt)
		{
			(void) oms_json_int64(object, &path, "damaged", 0, line->quantity, &line->damaged);
			line->nmissing = oms_lots_document(object, &path, "missing_lots", &line->missing_lots);
		}
		line->nlots = oms_lots_document(object, &path, "lots", &line->lots);
	}
	qsort(lines, count, sizeof(OmsTransferLine), compare_lines);
	for (i = 1; i < count; i++)
		if (lines[i].item == lines[i - 1].item)
			oms_error_document(&root, NULL, psprintf("each item once (" INT64_FORMAT " is there twice)", lines[i].item));
	*n = count;
	return lines;
}

/* One array of bigint from the same field of each line. */
static Datum
field_array(const OmsTransferLine *lines, int n, size_t offset)
{
	int64	   *values = palloc((n + 1) * sizeof(int64));
	int			i;

	for (i = 0; i < n; i++)
		values[i] = *(const int64 *) ((const char *) &lines[i] + offset);
	return oms_int8_array(values, n);
}

/* Locks the transfer and reads it.  OM002 when there is none. */
static void
lock_transfer(const OmsCall *call, int64 id, OmsTransfer *transfer)
{
	Datum		values[2] = {Int32GetDatum(call->merchant), Int64GetDatum(id)};

	if (oms_run(&statements[ST_LOCK], values, NULL) == 0)
		oms_error_unknown("transfer", call->merchant, id);
	transfer->merchant = call->merchant;
	transfer->id = id;
	transfer->actor = call->actor;
	strlcpy(transfer->state, oms_get_text(0, 1), sizeof(transfer->state));
	transfer->from = oms_get_int32(0, 2);
	transfer->to = oms_get_int32(0, 3);
}

/* Its lines, by item. */
static OmsTransferLine *
read_lines(const OmsTransfer *transfer, int *n)
{
	Datum		values[2] = {Int32GetDatum(transfer->merchant), Int64GetDatum(transfer->id)};
	OmsTransferLine *lines;
	int			i;

	*n = (int) oms_run(&statements[ST_LINES], values, NULL);
	lines = palloc0((*n + 1) * sizeof(OmsTransferLine));
	for (i = 0; i < *n; i++)
	{
		lines[i].item = oms_get_int64(i, 1);
		lines[i].quantity = oms_get_int64(i, 2);
		lines[i].received = oms_get_int64(i, 3);
		lines[i].missing = oms_get_int64(i, 4);
	}
	return lines;
}

/* OM008: not in this state. */
static void
error_state(const OmsTransfer *transfer, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(OMS_STATE),
			 errmsg("transfer " INT64_FORMAT " cannot be %s", transfer->id, what),
			 errdetail("It is %s.", transfer->state),
			 errhint("%s", hint)));
}

/* Units of a line, or of a lot of it, leave or come. */
static void
move(const OmsTransfer *transfer, int32 location, const OmsTransferLine *line, int64 quantity, int64 damaged, const char *cause)
{
	oms_stock_move(&(OmsMove) {
		.key = {transfer->merchant, location, line->item}, .kind = "transfer", .quantity = quantity, .damaged = damaged,
		.cause = cause, .source_kind = "transfer", .source_id = transfer->id, .actor = transfer->actor, .lot = line->lot
	});
}

/* All units of a line leave (sign -1) or come back (1), lot by lot where the item is tracked. */
static void
move_all(const OmsTransfer *transfer, const OmsTransferLine *line, int sign, const char *cause)
{
	OmsTransferLine *lots;
	int			n;
	int			i;

	if (oms_lot_tracking(transfer->merchant, line->item) == OMS_UNTRACKED)
	{
		move(transfer, transfer->from, line, sign * line->quantity, 0, cause);
		return;
	}
	lots = oms_transfer_lots(transfer, line->item, 0, &n);
	for (i = 0; i < n; i++)
		move(transfer, transfer->from, &lots[i], sign * lots[i].quantity, 0, cause);
}

static void
announce(const OmsTransfer *transfer, const char *type, const OmsTransferLine *lines, int n)
{
	OmsEvent	event = {0};
	OmsJson		json;
	int64		units = 0;
	int64		lost = 0;
	int64		surplus = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		units += lines[i].arrived;
		lost += lines[i].lost;
		surplus += lines[i].surplus;
	}
	oms_json_begin(&json);
	oms_json_add_int(&json, "to", transfer->to);
	oms_json_add_int(&json, "from", transfer->from);
	oms_json_add_int(&json, "units", units);
	if (lost != 0)
		oms_json_add_int(&json, "missing", lost);
	if (surplus != 0)
		oms_json_add_int(&json, "surplus", surplus);
	event.merchant = transfer->merchant;
	event.subject_type = "transfer";
	event.subject_id = transfer->id;
	event.type = type;
	event.data = oms_json_end(&json);
	oms_event_write(&event);
}

/* The units of a draft leave; returns how many. */
static int64
ship(const OmsTransfer *transfer)
{
	Datum		values[3] = {Int32GetDatum(transfer->merchant), Int64GetDatum(transfer->id), TimestampTzGetDatum(oms_now())};
	char	   *cause = psprintf("transfer " INT64_FORMAT " to location %d", transfer->id, transfer->to);
	OmsTransferLine *lines;
	int64		units = 0;
	int			n;
	int			i;

	if (strcmp(transfer->state, "draft") != 0)
		error_state(transfer, "shipped", "Only a draft is shipped.");
	lines = read_lines(transfer, &n);
	oms_transfer_choose_lots(transfer, lines, n);
	for (i = 0; i < n; i++)
	{
		move_all(transfer, &lines[i], -1, cause);
		lines[i].arrived = lines[i].quantity;
		units += lines[i].quantity;
	}
	oms_run_guarded(&statements[ST_SHIPPED], values, NULL);
	announce(transfer, "transfer.shipped", lines, n);
	return units;
}

/* SQL: transfer_stock(merchant, from_location, to_location, lines, ship, expected_at, request_key, actor, reason) */
Datum
oms_transfer_stock(PG_FUNCTION_ARGS)
{
	OmsTransfer transfer = {.state = "draft"};
	bool		at_once = PG_ARGISNULL(4) || PG_GETARG_BOOL(4);
	OmsCall		call;
	OmsTransferLine *lines;
	int64		result;
	int			n;
	int			i;

	transfer.from = oms_arg_int32(fcinfo, 1, "from_location");
	transfer.to = oms_arg_int32(fcinfo, 2, "to_location");
	oms_arg_require(fcinfo, 3, "lines");
	lines = read_document(PG_GETARG_JSONB_P(3), false, &n);
	if (transfer.from == transfer.to)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"to_location\" is out of range"),
				 errdetail("Location %d is where the units lie.", transfer.to),
				 errhint("A transfer goes to another location.")));
	if (!oms_call_repeated(fcinfo, "transfer_stock", 6, &call, &result))
	{
		Datum		values[7];
		char		nulls[7] = {' ', ' ', ' ', ' ', PG_ARGISNULL(5) ? 'n' : ' ', call.reason == NULL ? 'n' : ' ', ' '};

		transfer.merchant = call.merchant;
		transfer.actor = call.actor;
		oms_require_location(call.merchant, transfer.from);
		oms_require_location(call.merchant, transfer.to);
		for (i = 0; i < n; i++)
			oms_require_stocked(call.merchant, lines[i].item);
		values[0] = Int32GetDatum(call.merchant);
		values[1] = Int32GetDatum(transfer.from);
		values[2] = Int32GetDatum(transfer.to);
		values[3] = TimestampTzGetDatum(oms_now());
		values[4] = PG_ARGISNULL(5) ? (Datum) 0 : PG_GETARG_DATUM(5);
		values[5] = call.reason == NULL ? (Datum) 0 : CStringGetTextDatum(call.reason);
		values[6] = CStringGetTextDatum(call.actor);
		oms_run_guarded(&statements[ST_INSERT], values, nulls);
		result = transfer.id = oms_get_int64(0, 1);
		values[1] = Int64GetDatum(transfer.id);
		values[2] = field_array(lines, n, offsetof(OmsTransferLine, item));
		values[3] = field_array(lines, n, offsetof(OmsTransferLine, quantity));
		oms_run_guarded(&statements[ST_INSERT_LINES], values, NULL);
		oms_transfer_name_lots(&transfer, lines, n);
		if (at_once)
			(void) ship(&transfer);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

/* SQL: ship_transfer(merchant, transfer, request_key, actor) */
Datum
oms_ship_transfer(PG_FUNCTION_ARGS)
{
	int64		id = oms_arg_int64(fcinfo, 1, "transfer");
	OmsTransfer transfer;
	OmsCall		call;
	int64		result;

	if (!oms_call_repeated(fcinfo, "ship_transfer", 2, &call, &result))
	{
		lock_transfer(&call, id, &transfer);
		result = ship(&transfer);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}

int64
oms_transfer_settle(const OmsTransfer *transfer, OmsTransferLine *line, const OmsTransferLine *given, bool closing, bool surplus)
{
	int64		open = line->quantity - line->received - line->missing;
	int64		arrive = Min(given->quantity, open);
	int64		found = Min(given->quantity - arrive, line->missing);

	line->arrived = arrive + found;
	line->damaged = given->damaged;
	line->lost = given->missing - found;
	line->surplus = given->quantity - arrive - found;
	if (given->missing > open - arrive)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("more units of item " INT64_FORMAT " would be missing than transfer " INT64_FORMAT " has on its way",
						line->item, transfer->id),
				 errdetail(INT64_FORMAT " are on their way, " INT64_FORMAT " arrive, " INT64_FORMAT " would be missing.",
						   open, arrive, given->missing)));
	if (line->surplus > 0 && !surplus)
		ereport(ERROR,
				(errcode(OMS_LIMIT),
				 errmsg("more units of item " INT64_FORMAT " arrive than transfer " INT64_FORMAT " has on its way",
						line->item, transfer->id),
				 errdetail(INT64_FORMAT " were shipped, " INT64_FORMAT " received before, " INT64_FORMAT " arrive now.",
						   line->quantity, line->received, given->quantity),
				 errhint("Count again; if they are there, receive with surplus => true and a reason.")));
	open -= line->arrived + line->lost;
	if (closing)
	{
		line->lost += open;
		open = 0;
	}
	return open;
}

/* Whether the receipt says anything of the line. */
static bool
is_moved(const OmsTransferLine *line)
{
	return line->arrived > 0 || line->lost != 0 || line->surplus > 0;
}

/* Items, and what arrives, is missing and is a surplus of each, for the statements that count them. */
static void
receipt_values(const OmsTransferLine *lines, int n, Datum *values)
{
	values[2] = field_array(lines, n, offsetof(OmsTransferLine, item));
	values[3] = field_array(lines, n, offsetof(OmsTransferLine, arrived));
	values[4] = field_array(lines, n, offsetof(OmsTransferLine, lost));
	values[5] = field_array(lines, n, offsetof(OmsTransferLine, surplus));
}

/*
 * SQL: receive_transfer(merchant, transfer, lines, close, surplus, request_key,
 * actor, reason).  Locks the transfer, then the shelves by item.
 */
Datum
oms_receive_transfer(PG_FUNCTION_ARGS)
{
	int64		id = oms_arg_int64(fcinfo, 1, "transfer");
	bool		closing = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	bool		surplus = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	OmsTransfer transfer;
	OmsCall		call;
	OmsTransferLine *given = NULL;
	OmsTransferLine *lines;
	OmsTransferLine *moved;
	OmsTransferLine *moves;
	char	   *cause;
	Datum		values[10];
	char		nulls[10] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
	int64		open = 0;
	bool		differs = false;
	int			ngiven = 0;
	int			nmoved = 0;
	int			nmoves = 0;
	int			n;
	int			i;
	int			j;
	int			k;

	if (!PG_ARGISNULL(2))
		given = read_document(PG_GETARG_JSONB_P(2), true, &ngiven);
	if (oms_call_repeated(fcinfo, "receive_transfer", 5, &call, &open))
		PG_RETURN_INT64(open);
	lock_transfer(&call, id, &transfer);
	/* One that is closed takes what is found later, line by line. */
	if (strcmp(transfer.state, "shipped") != 0 && (strcmp(transfer.state, "received") != 0 || given == NULL))
		error_state(&transfer, "received", strcmp(transfer.state, "draft") == 0 ? "Ship it first, with ship_transfer()." :
					"Nothing of it is on its way.");
	lines = read_lines(&transfer, &n);
	moved = palloc((n + 1) * sizeof(OmsTransferLine));
	moves = palloc((n + 1) * sizeof(OmsTransferLine));
	for (i = j = 0; i < n; i++)
	{
		OmsTransferLine *line = &lines[i];
		OmsTransferLine all = {.item = line->item, .quantity = line->quantity - line->received - line->missing};
		OmsTransferLine none = {.item = line->item};
		const OmsTransferLine *what = given == NULL ? &all : j < ngiven && given[j].item == line->item ? &given[j++] : &none;
		OmsTransferLine *parts = line;
		int			nparts = 1;

		if (oms_lot_tracking(transfer.merchant, line->item) != OMS_UNTRACKED)
			nparts = oms_transfer_settle_lots(&transfer, line, what, closing, surplus, &parts, &open);
		else if (what->nlots + what->nmissing > 0)
			oms_lot_check(transfer.merchant, line->item, OMS_UNTRACKED, true);
		else
			open += oms_transfer_settle(&transfer, line, what, closing, surplus);
		differs = differs || line->lost != 0 || line->surplus != 0;
		if (is_moved(line))
			moved[nmoved++] = *line;
		if (nparts > 1)
			moves = repalloc(moves, (nmoves + nparts + n) * sizeof(OmsTransferLine));
		for (k = 0; k < nparts; k++)
			if (is_moved(&parts[k]))
				moves[nmoves++] = parts[k];
	}
	if (j < ngiven)
		ereport(ERROR,
				(errcode(OMS_UNKNOWN),
				 errmsg("transfer " INT64_FORMAT " has no item " INT64_FORMAT, id, given[j].item),
				 errhint("What came without being announced is received with receive_stock().")));
	if (differs && call.reason == NULL)
		ereport(ERROR,
				(errcode(OMS_ARGUMENT),
				 errmsg("argument \"reason\" is missing"),
				 errdetail("Units are missing, found again, or more than were shipped."),
				 errhint("Say why.")));

	values[0] = Int32GetDatum(call.merchant);
	values[1] = Int64GetDatum(id);
	/* Lots first: a serial number that arrives is not on its way any more. */
	receipt_values(moves, nmoves, values);
	values[6] = field_array(moves, nmoves, offsetof(OmsTransferLine, lot));
	oms_run_guarded(&statements[ST_COUNT_LOTS], values, NULL);
	receipt_values(moved, nmoved, values);
	oms_run_guarded(&statements[ST_COUNT], values, NULL);
	values[6] = field_array(moved, nmoved, offsetof(OmsTransferLine, damaged));
	values[7] = TimestampTzGetDatum(oms_now());
	values[8] = call.reason == NULL ? (Datum) 0 : CStringGetTextDatum(call.reason);
	nulls[8] = call.reason == NULL ? 'n' : ' ';
	values[9] = CStringGetTextDatum(call.actor);
	oms_run_guarded(&statements[ST_RECEIPT], values, nulls);
	cause = psprintf("transfer " INT64_FORMAT " from location %d", id, transfer.from);
	for (i = 0; i < nmoves; i++)
		if (moves[i].arrived + moves[i].surplus > 0)
			move(&transfer, transfer.to, &moves[i], moves[i].arrived + moves[i].surplus, moves[i].damaged, cause);
	if (open == 0 && strcmp(transfer.state, "shipped") == 0)
	{
		values[2] = CStringGetTextDatum("received");
		values[3] = TimestampTzGetDatum(oms_now());
		oms_run_guarded(&statements[ST_CLOSE], values, NULL);
	}
	announce(&transfer, "transfer.received", moved, nmoved);
	oms_call_done(&call, open);
	PG_RETURN_INT64(open);
}

/* SQL: cancel_transfer(merchant, transfer, request_key, actor, reason) */
Datum
oms_cancel_transfer(PG_FUNCTION_ARGS)
{
	int64		id = oms_arg_int64(fcinfo, 1, "transfer");
	OmsTransfer transfer;
	OmsCall		call;
	OmsTransferLine *lines;
	int64		result;
	bool		shipped;
	int			n;
	int			i;

	if (!oms_call_repeated(fcinfo, "cancel_transfer", 2, &call, &result))
	{
		char	   *cause = psprintf("transfer " INT64_FORMAT " cancelled", id);
		Datum		values[4] = {Int32GetDatum(call.merchant), Int64GetDatum(id)};

		lock_transfer(&call, id, &transfer);
		result = 0;
		shipped = strcmp(transfer.state, "shipped") == 0;
		if (!shipped && strcmp(transfer.state, "draft") != 0 && strcmp(transfer.state, "cancelled") != 0)
			error_state(&transfer, "cancelled", "Transfer its units back.");
		lines = read_lines(&transfer, &n);
		for (i = 0; i < n && shipped; i++)
			if (lines[i].received > 0 || lines[i].missing > 0)
				ereport(ERROR,
						(errcode(OMS_STATE),
						 errmsg("transfer " INT64_FORMAT " cannot be cancelled", id),
						 errdetail(INT64_FORMAT " units of item " INT64_FORMAT " were received, " INT64_FORMAT " declared missing.",
								   lines[i].received, lines[i].item, lines[i].missing),
						 errhint("Receive the rest, or close it with receive_transfer(..., close => true); transfer back what arrived.")));
		if (strcmp(transfer.state, "cancelled") != 0)
		{
			values[2] = CStringGetTextDatum("cancelled");
			values[3] = TimestampTzGetDatum(oms_now());
			oms_run_guarded(&statements[ST_CLOSE], values, NULL);
		}
		for (i = 0; i < n && shipped; i++)
		{
			move_all(&transfer, &lines[i], 1, cause);
			lines[i].arrived = lines[i].quantity;
			result += lines[i].quantity;
		}
		if (strcmp(transfer.state, "cancelled") != 0)
			announce(&transfer, "transfer.cancelled", lines, n);
		oms_call_done(&call, result);
	}
	PG_RETURN_INT64(result);
}
