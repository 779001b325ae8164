select * from oms.place_orders(1, 'bench-' || :client_id, 1000);
