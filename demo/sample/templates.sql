-- What customers are told, per channel and language; a message is written for a kind that has a template.
INSERT INTO oms.message_template (merchant_id, language, kind, subject, body) VALUES
	(1, 'en', 'confirmation', 'Your order {{number}}', E'Dear {{name}},\nthank you for your order {{number}}:\n{{lines}}\nTotal {{total}} {{currency}}.'),
	(1, 'en', 'shipping_notice', 'Your order {{number}} is on its way', E'With {{carrier}}, {{tracking_number}}:\n{{lines}}\n{{tracking_url}}'),
	(1, 'en', 'refund_note', 'Refund for order {{number}}', 'We refund {{amount}} {{currency}}.'),
	(1, 'en', 'cancellation', 'Order {{number}}: cancelled', E'Cancelled:\n{{lines}}'),
	(1, 'de', 'confirmation', 'Ihre Bestellung {{number}}', E'Guten Tag {{name}},\nvielen Dank für Ihre Bestellung {{number}}:\n{{lines}}\nSumme {{total}} {{currency}}.'),
	(1, 'de', 'shipping_notice', 'Ihre Bestellung {{number}} ist unterwegs', E'Mit {{carrier}}, {{tracking_number}}:\n{{lines}}\n{{tracking_url}}'),
	(1, 'de', 'refund_note', 'Gutschrift zur Bestellung {{number}}', 'Wir erstatten {{amount}} {{currency}}.'),
	(1, 'de', 'cancellation', 'Bestellung {{number}}: storniert', E'Storniert:\n{{lines}}');
