# The sample shop, sourced by ../run.

play sample/1_shop.sql
quietly sample/tariffs.sql sample/templates.sql
play sample/2_order.sql sample/3_parcel.sql sample/4_return.sql sample/5_many.sql
query -c ANALYZE	# a database filled within seconds has no statistics yet
play sample/6_look.sql
page 'A small shop in oms' 'Twelve weeks of a sample shop with two channels, EUR and GBP: placed, paid, shipped, returned by SQL calls'
