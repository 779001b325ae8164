-- The start of the story that the files of this folder tell in one database.
SET client_min_messages = warning;
CREATE EXTENSION oms;
CALL oms.install();
-- Again: nothing changes.
CALL oms.install();
SELECT merchant_id, name, currency FROM oms.merchant;
SELECT * FROM oms.verify(1);
