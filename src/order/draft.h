/*-------------------------------------------------------------------------
 * draft.h
 *	  An order on its way: read from a document or arrays, resolved and
 *	  priced, admitted by the gate, then written.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_DRAFT_H
#define OMS_DRAFT_H

#include "config/catalogue.h"
#include "core/config.h"
#include "core/json.h"
#include "inventory/bound.h"

/* Limits of one order: far from overflow, wide enough for a wholesale order. */
#define OMS_MAX_LINES		10000
#define OMS_MAX_QUANTITY	100000000

/* A promise the gate gave to a line. */
typedef struct OmsPromise
{
	int			line;			/* index */
	OmsGateKey	key;
	int64		quantity;
	OmsBounds	bounds;			/* that it was taken from */
} OmsPromise;

typedef struct OmsDraftLine
{
	/* given */
	int64		item;			/* 0: by SKU; after resolving 0: unmapped */
	char	   *sku;
	char	   *title;
	char	   *instructions;
	int32		quantity;
	bool		has_price;
	bool		has_tax_rate;
	bool		has_tax;		/* the tax is as given, not computed by the rate */
	bool		overridden;		/* its price is not the listed one */
	char	   *price_reason;
	int64		listed;			/* that, scaled; -1: there is none */
	int64		unit_price;		/* scaled by 10^OMS_PRICE_SCALE */
	int64		tax_rate;		/* scaled by 10^OMS_PRICE_SCALE */
	int64		own_discount;	/* minor units */
	char	   *unit;			/* null: the base unit */
	int64		asked_quantity;	/* of the unit, scaled by 10^OMS_PRICE_SCALE */
	int64		asked_price;	/* of the unit, scaled */
	int64		numerator;		/* base units in the unit: numerator / denominator */
	int64		denominator;
	int32		asked;			/* base units, before a rule rounded them up; 0: as quantity */
	/* computed, in minor units */
	OmsItemKind kind;
	int			ncomponents;
	OmsComponent *components;
	int64		subtotal;
	int64		discount;
	int64		tax;
	int64		total;
	int32		allocated;
	int32		backordered;
	int64		preorder;		/* that takes what is backordered; 0: none */
	bool		known;			/* a line of the order already, of which only promises are written */
	int32		line_no;		/* these two: of an order that is there */
	int32		ordered;		/* all its units; quantity: those that stock is asked for */
} OmsDraftLine;

/* A location that a line is promised from, or was shipped from, already. */
typedef struct OmsUsed
{
	int32		line_no;
	int32		location;
} OmsUsed;

typedef struct OmsDraftCharge
{
	const char *kind;
	char	   *description;
	bool		has_tax_rate;
	bool		has_tax;
	int64		amount;
	int64		tax_rate;
	int64		tax;
	int64		total;
} OmsDraftCharge;

typedef struct OmsDraft
{
	int32		merchant;
	int64		order_id;
	/* of the channel, copied: the compiled one may go at any query */
	int32		channel;
	char		currency[4];
	int			exponent;
	OmsRounding rounding;
	OmsAllocation allocation;
	bool		of_batch;		/* other orders come before and after it in the transaction */
	bool		confirm;
	bool		tax_included;
	bool		foreign;		/* its currency is not the merchant's */
	OmsReserve	reserve;
	int			reserve_days;
	OmsWhole	whole;
	OmsOverride override;
	int			nlocations;
	int32	   *locations;
	/* given */
	int64		customer_id;	/* 0: guest */
	char	   *customer_ref;	/* the channel's name of the customer, looked up when resolving */
	int64		company_id;
	int32		group;			/* of the customer, 0: none */
	char	   *certificate;	/* of the customer's tax exemption in force, null: none */
	TimestampTz placed_at;
	bool		placed_at_given;
	char	   *external_ref;
	char	   *email;
	char	   *phone;
	char	   *language;
	char	   *instructions;
	char	   *gift_note;
	char	   *origin;
	const char *actor;
	Datum		ship_to;		/* jsonb, 0: none */
	Datum		bill_to;
	int64		order_discount;
	bool		no_promotions;	/* its discounts are what they are */
	const char *price_cause;	/* what gives prices of its own; null: the order itself */
	bool		price_agreed;	/* they were agreed before: no reason and no right is asked for */
	const char *price_reason;	/* of lines that have none; null: none */
	int			ncoupons;
	char	  **coupons;
	bool		located;		/* its location is given */
	TimestampTz ship_at;		/* 0: not said */
	int			nholds;			/* stock holds that become its promises */
	int64	   *holds;
	int			nlines;
	OmsDraftLine *lines;
	int			ncharges;
	OmsDraftCharge *charges;
	/* computed */
	bool		unmapped;
	bool		unpriced;
	bool		judged;			/* written as placed, then judged by rules */
	bool		confirm_judged;	/* to be confirmed after that */
	const char *over_credit;	/* why its account does not allow it; null: it does */
	const char *terms;			/* of payment, of its account; null: none */
	uint64		catalogue;		/* mark of what it was resolved by */
	int			nwaiting;		/* lines with units backordered */
	Datum		placed_event;	/* data of its event, once added */
	bool		repeated;		/* its external reference is an order already: order_id */
	bool		units;			/* a line is asked for in a unit */
	bool		accepted;		/* it is an order already: its quantities stay */
	bool		compared;		/* only to be compared with that order, not to be placed */
	int64		subtotal;
	int64		discount;
	int64		shipping;
	int64		other_charges;
	int64		tax;
	int64		total;
	int			nheld;			/* first of locations: those of its holds */
	int			nused;
	OmsUsed    *used;			/* of an order that is there: where it is promised from */
	struct OmsSourcing *sourcing;	/* why it is promised from where it is; null: the plain way */
	bool		scheduled;		/* it has a row of order_schedule: */
	bool		later;			/* its stock is asked for later */
	TimestampTz due_at;			/* 0: by no date */
	int			noverrides;		/* lines whose price is not the listed one */
	int			ngiven;			/* by promotions */
	struct OmsGiven *given;
	int			npromises;
	int			maxpromises;
	OmsPromise *promises;
} OmsDraft;

/* document.c: reads a document; OM003 with the path. */
extern OmsDraft *oms_draft_from_document(int32 merchant, Datum document, const char *actor);
extern void oms_draft_check_address(Datum address, const char *key);
/* Lines and charges of other documents; the caller refuses fields that nobody reads. */
extern void oms_draft_read_line(OmsDraft *draft, OmsDraftLine *line, JsonbContainer *object, const OmsPath *path);
extern void oms_draft_read_charge(OmsDraft *draft, OmsDraftCharge *charge, JsonbContainer *object, const OmsPath *path);

/*
 * promotion.c: lowers lines and shipping by what promotions give, once the
 * lines' amounts are known; writes what was given, and counts uses that are
 * limited.
 */
extern void oms_promotions_apply(OmsDraft *draft);
extern void oms_promotions_write(OmsDraft **drafts, int n);

/* price_override.c: refuses prices that the channel wants a reason or a right for (OM011, 42501); keeps those given. */
extern void oms_price_overrides_check(const OmsDraft *draft);
extern void oms_price_overrides_write(OmsDraft **drafts, int n);

/* order_base.c: amounts in the merchant's currency, and certificates of exemption. */
extern void oms_order_base_write(OmsDraft **drafts, int n);
extern void oms_exemptions_write(OmsDraft **drafts, int n);

/* draft.c */
extern OmsDraft *oms_draft_new(int32 merchant, int32 channel, const char *actor);
extern OmsDraft *oms_draft_of_order(int32 merchant, int32 channel);
extern OmsDraft *oms_draft_for_code(int32 merchant, const char *code, const char *actor);
extern void oms_draft_resolve(OmsDraft *draft);
/* Of lines with items and prices alone: looks for listed prices, and checks those that differ. */
extern void oms_draft_compare_prices(OmsDraft *draft);
/* Country and region of the delivery; null: not known. */
extern void oms_draft_destination(const OmsDraft *draft, char **country, char **region);
/* Tax, unless it is given, and total of an amount after discount. */
extern void oms_draft_tax(const OmsDraft *draft, int64 amount, int64 rate, bool given, int64 *tax, int64 *total);
/*
 * The same of an amount that was another: by the rate, or in proportion where
 * the tax was stated instead of computed.
 */
extern void oms_draft_retax(const OmsDraft *draft, int64 amount_was, int64 tax_was, int64 amount, int64 rate, int64 *tax, int64 *total);

/* quantity.c: units of the lines to base units, and the rules for quantities.  The catalogue is loaded.  OM002, OM003, OM007. */
extern void oms_draft_quantities(OmsDraft *draft);

/* draft.c */
extern void oms_draft_admit(OmsDraft *draft);
extern void oms_draft_give_back(OmsDraft *draft);
/* Tries to promise units of a line (index) at a location, all parts of a kit or none. */
extern bool oms_draft_promise(OmsDraft *draft, int index, int32 location, int64 units);

/* write.c: writes resolved and admitted drafts of one merchant, all in a few statements. */
extern void oms_draft_write(OmsDraft **drafts, int n);
/* The same for lines that an order gets, or gets more units of, later. */
extern void oms_draft_append(OmsDraft *draft);
/* After what it appended is counted in all lines: lines that wait are promised a date. */
extern void oms_draft_append_waiting(OmsDraft *draft);

#endif							/* OMS_DRAFT_H */
