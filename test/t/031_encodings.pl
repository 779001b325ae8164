# oms in databases of other encodings than UTF-8: it installs, and places an order whose texts come back as they were.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Shop;

my $node = server('encodings');

# bytes that are no UTF-8: in LATIN1 a name, in EUC_KR a syllable, in SQL_ASCII whatever they mean
my %text = (latin1 => '\xe9fcdf', euc_kr => '\xb0a1', sql_ascii => '\xfffee9');
for my $encoding (sort keys %text)
{
	my $bytes = $text{$encoding};
	$node->safe_psql('postgres', "CREATE DATABASE $encoding ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	my ($code, $out, $err) = $node->psql($encoding, 'CREATE EXTENSION oms; CALL oms.install()');
	is($code, 0, "$encoding: oms installs") or diag($err);
	is($node->safe_psql($encoding, qq{
		INSERT INTO oms.item (merchant_id, item_id, sku, title) VALUES (1, 1, convert_from('$bytes', '$encoding'), 'Thing');
		SELECT oms.receive_stock(1, 1, 1, 5, 'opening') > 0;
		SELECT oms.place_order(1, jsonb_build_object('external_ref', convert_from('$bytes', '$encoding'), 'ship_to', jsonb_build_object('name', repeat(convert_from('$bytes', '$encoding'), 50)),
			'lines', jsonb_build_array(jsonb_build_object('sku', convert_from('$bytes', '$encoding'), 'quantity', 2, 'unit_price', '1')))) > 0;
		SELECT item_id, encode(convert_to(external_ref, '$encoding'), 'hex'), char_length(ship_to->>'name') = 50 * char_length(sku) FROM oms.sales_order JOIN oms.order_line USING (merchant_id, order_id);
		SELECT count(*) FROM oms.verify(1);
	}), "t\nt\n1|" . ($bytes =~ s/\\x//gr) . "|t\n0", "$encoding: and sells what is called $bytes");
	unlike($node->safe_psql($encoding, q{SELECT string_agg(name, '') FROM oms.currency}), qr/[^ -~]/, "$encoding: what it brings along is written in ASCII");
}

done_testing();
