/*-------------------------------------------------------------------------
 * catalogue.h
 *	  The compiled catalogue: items with prices and parts, as placing needs
 *	  them.
 *-------------------------------------------------------------------------
 */
#ifndef OMS_CATALOGUE_H
#define OMS_CATALOGUE_H

/* Units of one part in one kit, nested kits multiplied out: with the largest line far from overflow. */
#define OMS_MAX_PER_KIT 1000000

typedef enum OmsItemKind
{
	OMS_STOCKED,
	OMS_KIT,
	OMS_SERVICE
} OmsItemKind;

typedef enum OmsTracking
{
	OMS_UNTRACKED,
	OMS_BY_LOT,
	OMS_BY_SERIAL
} OmsTracking;

typedef struct OmsPrice
{
	char		currency[4];
	int32		channel;		/* 0: all */
	int32		group;			/* of customers, 0: all */
	int32		min_quantity;
	TimestampTz valid_from;
	TimestampTz valid_to;
	int64		amount;			/* scaled by 10^OMS_PRICE_SCALE */
} OmsPrice;

typedef struct OmsComponent
{
	int64		item;
	int32		per_unit;		/* nested kits multiplied out */
} OmsComponent;

typedef struct OmsItem
{
	int64		item;
	OmsItemKind kind;
	OmsTracking tracking;
	bool		active;
	char	   *sku;
	char	   *title;
	char	   *tax_class;
	int			nprices;
	OmsPrice   *prices;
	int			ncomponents;	/* of kits: stocked parts only */
	OmsComponent *components;
} OmsItem;

/*
 * Makes sure that what exists of the given items and SKUs is in memory: at
 * most one query each for SKUs, items, prices and parts, and none when all is
 * there.  Pointers got afterwards live until the next load.
 */
extern void oms_catalogue_load(int32 merchant, int32 channel, const int64 *items, int nitems,
							   char *const *skus, int nskus);
/* A number that is another one once anything of the catalogue has changed, as far as this backend has heard. */
extern uint64 oms_catalogue_mark(void);
extern const OmsItem *oms_catalogue_item(int32 merchant, int64 item);
/* The channel's alias first, then the item's own SKU. */
extern const OmsItem *oms_catalogue_sku(int32 merchant, int32 channel, const char *sku);

/* The price in force, or null: see COMMENT ON TABLE oms.price. */
extern const OmsPrice *oms_catalogue_price(const OmsItem *item, const char *currency, int32 channel,
										   int32 group, int32 quantity, TimestampTz at);

#endif							/* OMS_CATALOGUE_H */
