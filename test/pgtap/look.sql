-- Looking orders up: what each way finds, what it tells whom, bad input.
BEGIN;
SELECT plan(33);

INSERT INTO oms.item (merchant_id, sku, title, kind) VALUES (1, 'E-1', 'Engraving', 'service');
INSERT INTO oms.merchant (merchant_id, name, currency) VALUES (2, 'Other', 'EUR');
SELECT oms.place_order(1, '{"channel": 1, "email": "Ada@Example.com", "ship_to": {"name": "Ada", "city": "Bonn", "country": "DE"},
	"lines": [{"sku": "E-1", "quantity": 2, "unit_price": "5.00"}]}') AS o \gset

SELECT is(oms.order_document(1, :o) #>> '{lines,0,sku}', 'E-1', 'the document has the lines');
SELECT is(oms.order_document(2, :o), NULL, 'another merchant''s order is none');
SELECT throws_ok('SELECT oms.order_document(1, NULL)', 'OM011');
SELECT throws_ok('SELECT oms.order_document(0, 1)', 'OM011');
SELECT throws_ok('SELECT oms.allowed_actions(1, NULL)', 'OM011');
SELECT is((SELECT type FROM oms.order_timeline(1, :o) LIMIT 1), 'order.placed', 'the timeline begins with placing');
SELECT is_empty(format('SELECT * FROM oms.order_timeline(2, %s)', :o));
SELECT is_empty('SELECT * FROM oms.order_timeline(NULL, NULL)');
SELECT is(oms.track(1, :'o', ' ada@example.COM ') ->> 'number', :'o', 'number and e-mail address show the order');
SELECT is(oms.track(1, :'o', 'eve@example.com'), NULL, 'a wrong address tells nothing');
SELECT is(oms.track(1, :'o', ''), NULL);
SELECT is(oms.track(1, :'o', NULL), NULL);
SELECT is(oms.track(1, '0' || :'o', 'ada@example.com'), NULL);
SELECT is(oms.track(1, '99999999999999999999999', 'ada@example.com'), NULL);
SELECT is(oms.track(1, '', 'ada@example.com'), NULL);
SELECT is(oms.track(2, :'o', 'ada@example.com'), NULL);
SELECT oms.track_token(1, :o) AS token \gset
SELECT is(oms.track(1, :'o', :'token') ->> 'number', :'o', 'so does the token');
SELECT is(oms.track_token(1, :o), oms.track_token(1, :o), 'which stays the same');
SELECT is(oms.track_token(2, :o), NULL);
SELECT isnt(oms.track_token(1, :o), (SELECT secret FROM oms.track_secret WHERE merchant_id = 1), 'and is not the secret');
SELECT is((SELECT found_by FROM oms.find_orders(1, :'o') WHERE order_id = :o), 'number', 'found by number');
SELECT is((SELECT found_by FROM oms.find_orders(1, 'ADA@example') WHERE order_id = :o), 'e-mail', 'found by the beginning of the address');
SELECT is((SELECT found_by FROM oms.find_orders(1, 'ada') WHERE order_id = :o), 'e-mail, name', 'found by name');
SELECT is_empty('SELECT * FROM oms.find_orders(1, ''%da'')', 'signs of LIKE mean nothing');
SELECT is_empty('SELECT * FROM oms.find_orders(2, ''ada'')');
SELECT throws_ok('SELECT oms.find_orders(NULL, ''ada'')', 'OM011');
SELECT throws_ok('SELECT oms.find_orders(1, NULL)', 'OM011');
SELECT throws_ok('SELECT oms.find_orders(1, '''')', 'OM011');
SELECT throws_ok('SELECT oms.find_orders(1, repeat(''x'', 1000000))', 'OM011');
SELECT throws_ok('SELECT oms.find_orders(1, ''ada'', 0)', 'OM011');
SELECT throws_ok('SELECT oms.find_orders(1, ''ada'', 1001)', 'OM011');
SELECT is((SELECT count(*) FROM oms.allowed_actions(1, :o) WHERE allowed = (reason IS NULL)), (SELECT count(*) FROM oms.allowed_actions(1, :o)), 'what is not allowed has a reason');
SELECT is_empty('SELECT * FROM oms.allowed_actions(1, 0)');

SELECT * FROM finish();
ROLLBACK;
