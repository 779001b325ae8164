\set c random(1, 10000)
select shop.place_order_setbased(jsonb_build_object('customer', :c::bigint, 'location', 1, 'lines', jsonb_build_array(jsonb_build_object('sku', 1, 'qty', 1))));
