/*-------------------------------------------------------------------------
 * sourcing.h
 *	  From which locations an order is promised.
 *
 *	  Nothing here runs for a merchant without rules and exclusions, but for
 *	  one look into the compiled configuration.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_SOURCING_H
#define OMS_SOURCING_H

#include "order/draft.h"
#include "order/order.h"
#include "utils/jsonb.h"

typedef enum OmsStrategy
{
	OMS_BY_PRIORITY,
	OMS_BY_DISTANCE,
	OMS_BY_STOCK,
	OMS_BY_COST,
	OMS_BY_FUNCTION
} OmsStrategy;

typedef struct OmsSourcingRule
{
	int32		rule_id;		/* 0: none, the channel's priority */
	char	   *name;
	int32		channel;		/* 0: all, so are the other conditions */
	char		country[3];
	int64		item;
	int64		min_weight_g;	/* -1: none */
	int64		max_weight_g;
	TimestampTz valid_from;
	TimestampTz valid_to;
	OmsStrategy strategy;
	char	   *function;
	int			max_shipments;	/* 0: any number */
	bool		split_lines;
	bool		fewest;
} OmsSourcingRule;

/* A location of a channel as configured. */
typedef struct OmsPlace
{
	int32		channel;
	int32		location;
	int32		priority;
	bool		active;
	bool		has_position;
	double		latitude;
	double		longitude;
	bool		has_cost;
	int64		cost;			/* scaled by 10^OMS_PRICE_SCALE */
	char		currency[4];
	int			capacity;		/* -1: any */
	int			ncountries;		/* -1: all */
	char		(*countries)[3];
	Jsonb	   *address;		/* null: none */
} OmsPlace;

typedef struct OmsExclusion
{
	int32		location;
	int64		item;			/* 0: any */
	TimestampTz until;
	char	   *reason;
} OmsExclusion;

typedef struct OmsSourcingConfig
{
	int32		merchant;		/* hash key */
	bool		loaded;
	int			nrules;
	OmsSourcingRule *rules;		/* in the order they are asked */
	int			nplaces;
	OmsPlace   *places;			/* by channel, priority, location */
	int			nexclusions;
	OmsExclusion *exclusions;
	bool		limited;		/* a location has a capacity */
} OmsSourcingConfig;

/* A location that an order is sourced from, or why it is not. */
typedef struct OmsCandidate
{
	OmsPlace	place;
	const char *reason;			/* null: may be chosen */
	char	   *detail;
	bool		known;			/* value is */
	int64		value;			/* metres, units, minor units, position, priority */
	int			rank;			/* from 1; 0: rejected before */
	bool		held;			/* has units of the order's stock holds */
	bool		used;			/* the order is promised from it already */
	int64	   *available;		/* per item of the problem */
	int64	   *ceiling;		/* the same: no more than this, as the gate said */
	int64		units;			/* promised from it now */
	int			lost;
} OmsCandidate;

/* sourcing_plan.c: the choice, in plain C */

/* What one unit of a line takes of an item. */
typedef struct OmsNeed
{
	int			item;			/* position among the problem's items */
	int64		per_unit;
} OmsNeed;

typedef struct OmsWant
{
	int64		units;
	int			nneeds;
	OmsNeed    *needs;
	bool	   *bound;			/* per location: the line is promised from these; null: from none yet */
} OmsWant;

typedef struct OmsProblem
{
	int			nlocations;		/* ranked, the best first */
	int			nitems;
	int			nwants;
	OmsWant    *wants;
	int64	   *available;		/* nlocations x nitems */
	bool	   *used;			/* per location: free of the limit */
	int			limit;			/* most locations beside the used ones; -1: any number */
	bool		split_lines;
	bool		fewest;
	OmsWhole	whole;
	/* the answer */
	int64	   *units;			/* nwants x nlocations */
	int64		total;
} OmsProblem;

extern void oms_sourcing_solve(OmsProblem *problem);
/* How many units of the want the location has, at most so many. */
extern int64 oms_sourcing_units(const OmsProblem *problem, const int64 *available, const OmsWant *want, int location, int64 most);

/* sourcing_config.c */

/* Null when the merchant has no rule, no exclusion and no capacity.  Do not hold over SQL. */
extern const OmsSourcingConfig *oms_sourcing_config(int32 merchant);
/* The same, there or not. */
extern const OmsSourcingConfig *oms_sourcing_config_always(int32 merchant);
/* The function of a rule: OM016 unless it is there as it must be. */
extern Oid	oms_sourcing_function(const char *name);

/* sourcing_rank.c */

/*
 * Ranks the candidates that have no reason yet, and may give them one.
 * problem: wants, and what the candidates, in their present order, have.
 */
extern void oms_sourcing_rank(const OmsDraft *draft, const OmsSourcingRule *rule, const OmsProblem *problem,
							  OmsCandidate *candidates, int n);
/* Grams of the draft's lines; what has no weight has none. */
extern int64 oms_sourcing_weight(const OmsDraft *draft);

/* sourcing.c */
typedef struct OmsSourcing
{
	int32		number;			/* of the decision within the order */
	OmsSourcingRule rule;
	int			n;
	OmsCandidate *candidates;	/* by rank, the rejected ones last */
	int64		wanted;
	int64		promised;
	int			shipments;
	int			opened;
} OmsSourcing;

/*
 * Promises the lines of the draft by the rule that it meets, and notes why.
 * False: there is nothing to decide by, the plain way does.
 */
extern bool oms_sourcing_admit(OmsDraft *draft);
/* Whether orders of the channel may have something to decide by. */
extern bool oms_sourcing_applies(int32 merchant, int32 channel);
/* Writes what was decided for drafts that are written. */
extern void oms_sourcing_write(OmsDraft **drafts, int n);
/* Whether decisions must be written before the next order is decided. */
extern bool oms_sourcing_counts(int32 merchant);

/* reserve.c */

/* Whether a new order's stock is asked for later; notes when. */
extern bool oms_reserve_later(OmsDraft *draft);
/* Writes the schedules of drafts that are written. */
extern void oms_schedule_write(OmsDraft **drafts, int n);
/* Whether the order, locked, still waits for its time. */
extern bool oms_reserve_waits(int32 merchant, int64 order_id);
/* Of the trigger that follows the lifecycle: an order was confirmed. */
extern void oms_reserve_confirmed(int32 merchant, int64 order_id);
/*
 * Asks for stock for the units of a locked order that have none (line_no 0: of
 * all lines); with backorder what is missing is backordered, else it stays as
 * it is.  Returns the units promised.
 */
extern int32 oms_reserve_units(const OmsOrderHead *head, int32 line_no, bool backorder, int32 *missing);
/* Of short_pick, once it is written: excludes the location for the item (0: none), and asks for other stock, as the settings say. */
extern void oms_reserve_after_short_pick(const OmsOrderHead *head, int32 line_no, int64 item, int32 location);

#endif							/* OMS_SOURCING_H */
