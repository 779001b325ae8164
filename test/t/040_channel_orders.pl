# Orders as real channels write them: every payload of ../shared/data/channels
# becomes an order whose figures are those that the payload states, or is kept
# under a hold that names the difference.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use Shop;
use Test::More;

my $data = ($ENV{OMS_REAL_DATA} // '') . '/channels';
plan skip_all => 'real data is looked for in ../shared/data, which is not there' if !-d $data;
plan skip_all => "$data cannot be read by this user" if !-r $data;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $node = server('channels');
shop($node, 'shop');
my $channels = 1;

sub sql { return $node->safe_psql('shop', $_[0]) }

sub slurp
{
	my ($file) = @_;
	open my $in, '<:raw', $file or die "$file: $!";
	local $/;
	return <$in>;
}

# A channel of its own for each payload, so that the same reference in two files is two orders.
sub import_order
{
	my ($source, $payload, $currency) = @_;
	my $channel = ++$channels;
	$payload =~ s/'/''/g;
	sql("INSERT INTO oms.channel (merchant_id, channel_id, code, name, currency) VALUES (1, $channel, 'c$channel', 'Channel $channel', '$currency');
		INSERT INTO oms.channel_location (merchant_id, channel_id, location_id) VALUES (1, $channel, 1)");
	return sql("SELECT oms.import_order(1, '$source', '$payload'::jsonb, 'c$channel')");
}

# Each figure is the stated one, or the hold says what it is.
sub agrees
{
	my ($name, $order, %stated) = @_;
	my $reason = sql("SELECT coalesce(string_agg(reason, '; '), '') FROM oms.order_hold WHERE order_id = $order AND kind = 'import'");
	for my $figure (sort grep { defined $stated{$_} } keys %stated)
	{
		my $here = sql("SELECT $figure FROM oms.sales_order WHERE order_id = $order");
		ok($here == $stated{$figure} || $reason =~ /\b$figure is stated as \Q$stated{$figure}\E, its parts make \Q$here\E/,
			"$name: $figure $stated{$figure}") or diag("here $here; hold: $reason");
	}
	return;
}

# Shopify
for my $file (qw(order.json orders.json))
{
	my $content = $json->decode(slurp("$data/shopify/python_api_fixtures/$file"));
	for my $order (@{ $content->{orders} // [ $content->{order} ] })
	{
		my $id = import_order('shopify', $json->encode({ order => $order }), $order->{currency});
		agrees("shopify $file", $id, total => $order->{total_price}, tax => $order->{total_tax}, discount => $order->{total_discounts},
			subtotal => $order->{total_line_items_price}, shipping => $order->{shipping_lines}[0]{price} // $order->{total_shipping_price_set}{shop_money}{amount});
		next if !$order->{line_items};
		is(sql("SELECT string_agg(ordered || ' ' || sku || ' ' || unit_price, ', ' ORDER BY line_no) FROM oms.order_line WHERE order_id = $id"),
			join(', ', map {"$_->{quantity} $_->{sku} $_->{price}"} @{ $order->{line_items} }), "shopify $file: lines");
		is(sql("SELECT authorized FROM oms.payment_balance WHERE order_id = $id"), $order->{total_price}, "shopify $file: authorized")
			if $order->{financial_status} eq 'authorized';
	}
}

# WooCommerce
for my $part (@{ $json->decode(slurp("$data/woocommerce/wp-api-v3_orders.json")) })
{
	next if $part->{kind} ne 'response';
	for my $order (grep { ref eq 'HASH' && exists $_->{order_key} } ref $part->{json} eq 'ARRAY' ? @{ $part->{json} } : $part->{json})
	{
		my $id = import_order('woocommerce', $json->encode($order), $order->{currency});
		my $name = "woocommerce $order->{id}";
		agrees($name, $id, total => $order->{total}, tax => $order->{total_tax}, discount => $order->{discount_total}, shipping => $order->{shipping_total});
		is(sql("SELECT payment_state FROM oms.sales_order WHERE order_id = $id"), $order->{date_paid} ? 'paid' : 'none', "$name: paid or not");
		is(sql("SELECT string_agg(tax::text, ' ' ORDER BY line_no) FROM oms.order_line WHERE order_id = $id"),
			join(' ', map { $_->{total_tax} } @{ $order->{line_items} }), "$name: tax of each line");
		for my $refund (@{ $order->{refunds} })
		{
			like(sql("SELECT reason FROM oms.order_hold WHERE order_id = $id AND kind = 'import'"), qr/refund $refund->{id} of/,
				"$name: refund $refund->{id} of what is not paid is named")
				if !$order->{date_paid};
		}
	}
}

# Amazon: orders come without their items, which another call gives.
my (%orders, %items);
for my $example (@{ $json->decode(slurp("$data/amazon_sp_api/ordersV0.examples.json")) })
{
	my $response = $example->{response} // next;
	$response = $response->{'application/json'} // $response;
	my $payload = ref $response->{payload} eq 'HASH' ? $response->{payload} : next;
	$orders{ $_->{AmazonOrderId} } = $_ for grep { exists $_->{OrderStatus} } @{ $payload->{Orders} // [$payload] };
	$items{ $payload->{AmazonOrderId} } //= $payload->{OrderItems} if grep { exists $_->{QuantityOrdered} } @{ $payload->{OrderItems} // [] };
}
for my $id (sort keys %orders)
{
	my $order = { %{ $orders{$id} }, $items{$id} ? (OrderItems => $items{$id}) : () };
	my $here = import_order('amazon', $json->encode($order), $order->{OrderTotal}{CurrencyCode} // 'USD');
	agrees("amazon $id", $here, total => $order->{OrderTotal}{Amount});
	is(sql("SELECT count(*) FROM oms.order_hold WHERE order_id = $here AND kind = 'import' AND reason ~ 'no lines'"), $items{$id} ? 0 : 1,
		"amazon $id: " . ($items{$id} ? 'its lines' : 'kept without lines, under a hold'));
}
ok(scalar(grep { $items{$_} } keys %orders), 'amazon: some have their items');

# X12
for my $file (sort glob "$data/edi/*/850*.edi")
{
	my ($name) = $file =~ m{([^/]+)$};
	my $text = slurp($file);
	(my $quoted = $text) =~ s/'/''/g;
	my @sets = split /\n/, sql("SELECT * FROM oms.x12_transactions('$quoted')");
	is(scalar @sets, scalar(() = $text =~ /\bST\*850\*/g), "$name: its transaction sets");
	for my $set (@sets)
	{
		my $id = import_order('x12_850', $set, 'USD');
		my ($amount) = $text =~ /^AMT\*1\*([\d.]+)/m;
		agrees($name, $id, total => $amount);
		is(sql("SELECT count(*) FROM oms.order_line WHERE order_id = $id"), scalar(() = $text =~ /^PO1\*/gm) / @sets, "$name: lines");
	}
}
for my $file (grep { !m{/850} } glob "$data/edi/*/*.edi")
{
	my ($name) = $file =~ m{([^/]+)$};
	(my $quoted = slurp($file)) =~ s/'/''/g;
	my ($status, $out, $error) = $node->psql('shop', "\\set VERBOSITY sqlstate\nSELECT oms.x12_transactions('$quoted')");
	like($error, qr/OM003/, "$name is no purchase order");
}

is_sound($node, 'shop', 'after all of them');
done_testing();
