-- Money that knows its currency: for views, functions and reports. No table has a column of it.

CREATE TYPE oms.money;

CREATE FUNCTION oms.money_in(cstring) RETURNS oms.money
	LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_in';
COMMENT ON FUNCTION oms.money_in(cstring) IS 'Reads 12.34 EUR. Raises OM011, OM012 (currency), OM017 (more decimals than the currency has, or out of range)';
CREATE FUNCTION oms.money_out(oms.money) RETURNS cstring
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_out';
COMMENT ON FUNCTION oms.money_out(oms.money) IS 'Writes 12.34 EUR';
CREATE FUNCTION oms.money_recv(internal) RETURNS oms.money
	LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_recv';
COMMENT ON FUNCTION oms.money_recv(internal) IS 'Binary: int64 of the smallest unit, three letters of currency. Raises OM012';
CREATE FUNCTION oms.money_send(oms.money) RETURNS bytea
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_send';
COMMENT ON FUNCTION oms.money_send(oms.money) IS 'Binary: int64 of the smallest unit, three letters of currency';

CREATE TYPE oms.money (
	INPUT = oms.money_in, OUTPUT = oms.money_out, RECEIVE = oms.money_recv, SEND = oms.money_send,
	INTERNALLENGTH = 16, ALIGNMENT = double);
COMMENT ON TYPE oms.money IS 'An amount and its ISO 4217 currency, exact to the currency''s smallest unit; written 12.34 EUR. Arithmetic, min, max and sum over two currencies are an error (OM012); sorting, comparison and indexes order by currency, then by amount';

CREATE FUNCTION oms.money(amount numeric, currency text) RETURNS oms.money
	LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_make';
COMMENT ON FUNCTION oms.money(numeric, text) IS 'An amount in a currency; never rounds. Null in, null out. Raises OM012 (currency), OM017 (more decimals than the currency has, or out of range)';
CREATE FUNCTION oms.amount(money oms.money) RETURNS numeric
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_amount_of';
COMMENT ON FUNCTION oms.amount(oms.money) IS 'The amount alone, in the currency''s units';
CREATE FUNCTION oms.currency(money oms.money) RETURNS text
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_currency_of';
COMMENT ON FUNCTION oms.currency(oms.money) IS 'The ISO 4217 code of the currency';
CREATE FUNCTION oms.abs(money oms.money) RETURNS oms.money
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_absolute';
COMMENT ON FUNCTION oms.abs(oms.money) IS 'The amount without its sign. Raises OM017';

CREATE FUNCTION oms.money_plus(oms.money, oms.money) RETURNS oms.money
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_plus';
COMMENT ON FUNCTION oms.money_plus(oms.money, oms.money) IS 'Sum; raises OM012 for two currencies, OM017 beyond the range';
CREATE OPERATOR oms.+ (LEFTARG = oms.money, RIGHTARG = oms.money, FUNCTION = oms.money_plus, COMMUTATOR = OPERATOR(oms.+));
COMMENT ON OPERATOR oms.+ (oms.money, oms.money) IS 'Sum; raises OM012 for two currencies, OM017 beyond the range';
CREATE FUNCTION oms.money_minus(oms.money, oms.money) RETURNS oms.money
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_minus';
COMMENT ON FUNCTION oms.money_minus(oms.money, oms.money) IS 'Difference; raises OM012 for two currencies, OM017 beyond the range';
CREATE OPERATOR oms.- (LEFTARG = oms.money, RIGHTARG = oms.money, FUNCTION = oms.money_minus);
COMMENT ON OPERATOR oms.- (oms.money, oms.money) IS 'Difference; raises OM012 for two currencies, OM017 beyond the range';
CREATE FUNCTION oms.money_negative(oms.money) RETURNS oms.money
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_negative';
COMMENT ON FUNCTION oms.money_negative(oms.money) IS 'The amount with the other sign; raises OM017';
CREATE OPERATOR oms.- (RIGHTARG = oms.money, FUNCTION = oms.money_negative);
COMMENT ON OPERATOR oms.- (NONE, oms.money) IS 'The amount with the other sign; raises OM017';
CREATE FUNCTION oms.money_times(oms.money, numeric) RETURNS oms.money
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_times';
COMMENT ON FUNCTION oms.money_times(oms.money, numeric) IS 'Product, rounded half to even to the smallest unit; raises OM017';
CREATE OPERATOR oms.* (LEFTARG = oms.money, RIGHTARG = numeric, FUNCTION = oms.money_times, COMMUTATOR = OPERATOR(oms.*));
COMMENT ON OPERATOR oms.* (oms.money, numeric) IS 'Product, rounded half to even to the smallest unit; raises OM017';
CREATE FUNCTION oms.number_times_money(numeric, oms.money) RETURNS oms.money
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_number_times_money';
COMMENT ON FUNCTION oms.number_times_money(numeric, oms.money) IS 'Product, rounded half to even to the smallest unit; raises OM017';
CREATE OPERATOR oms.* (LEFTARG = numeric, RIGHTARG = oms.money, FUNCTION = oms.number_times_money, COMMUTATOR = OPERATOR(oms.*));
COMMENT ON OPERATOR oms.* (numeric, oms.money) IS 'Product, rounded half to even to the smallest unit; raises OM017';
CREATE FUNCTION oms.money_over_number(oms.money, numeric) RETURNS oms.money
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_over_number';
COMMENT ON FUNCTION oms.money_over_number(oms.money, numeric) IS 'Quotient, rounded half to even to the smallest unit (prorate() splits without loss); raises OM017';
CREATE OPERATOR oms./ (LEFTARG = oms.money, RIGHTARG = numeric, FUNCTION = oms.money_over_number);
COMMENT ON OPERATOR oms./ (oms.money, numeric) IS 'Quotient, rounded half to even to the smallest unit (prorate() splits without loss); raises OM017';
CREATE FUNCTION oms.money_ratio(oms.money, oms.money) RETURNS numeric
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_ratio';
COMMENT ON FUNCTION oms.money_ratio(oms.money, oms.money) IS 'Ratio of two amounts of one currency; raises OM012';
CREATE OPERATOR oms./ (LEFTARG = oms.money, RIGHTARG = oms.money, FUNCTION = oms.money_ratio);
COMMENT ON OPERATOR oms./ (oms.money, oms.money) IS 'Ratio of two amounts of one currency; raises OM012';

CREATE FUNCTION oms.money_eq(oms.money, oms.money) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_eq';
COMMENT ON FUNCTION oms.money_eq(oms.money, oms.money) IS 'Same currency and amount';
CREATE OPERATOR oms.= (LEFTARG = oms.money, RIGHTARG = oms.money, FUNCTION = oms.money_eq,
	COMMUTATOR = OPERATOR(oms.=), NEGATOR = OPERATOR(oms.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
COMMENT ON OPERATOR oms.= (oms.money, oms.money) IS 'Same currency and amount';
CREATE FUNCTION oms.money_ne(oms.money, oms.money) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_ne';
COMMENT ON FUNCTION oms.money_ne(oms.money, oms.money) IS 'Another currency or amount';
CREATE OPERATOR oms.<> (LEFTARG = oms.money, RIGHTARG = oms.money, FUNCTION = oms.money_ne,
	COMMUTATOR = OPERATOR(oms.<>), NEGATOR = OPERATOR(oms.=), RESTRICT = neqsel, JOIN = neqjoinsel);
COMMENT ON OPERATOR oms.<> (oms.money, oms.money) IS 'Another currency or amount';
CREATE FUNCTION oms.money_lt(oms.money, oms.money) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_lt';
COMMENT ON FUNCTION oms.money_lt(oms.money, oms.money) IS 'Before: by currency, then by amount';
CREATE OPERATOR oms.< (LEFTARG = oms.money, RIGHTARG = oms.money, FUNCTION = oms.money_lt,
	COMMUTATOR = OPERATOR(oms.>), NEGATOR = OPERATOR(oms.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
COMMENT ON OPERATOR oms.< (oms.money, oms.money) IS 'Before: by currency, then by amount';
CREATE FUNCTION oms.money_le(oms.money, oms.money) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_le';
COMMENT ON FUNCTION oms.money_le(oms.money, oms.money) IS 'Before or same: by currency, then by amount';
CREATE OPERATOR oms.<= (LEFTARG = oms.money, RIGHTARG = oms.money, FUNCTION = oms.money_le,
	COMMUTATOR = OPERATOR(oms.>=), NEGATOR = OPERATOR(oms.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
COMMENT ON OPERATOR oms.<= (oms.money, oms.money) IS 'Before or same: by currency, then by amount';
CREATE FUNCTION oms.money_gt(oms.money, oms.money) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_gt';
COMMENT ON FUNCTION oms.money_gt(oms.money, oms.money) IS 'After: by currency, then by amount';
CREATE OPERATOR oms.> (LEFTARG = oms.money, RIGHTARG = oms.money, FUNCTION = oms.money_gt,
	COMMUTATOR = OPERATOR(oms.<), NEGATOR = OPERATOR(oms.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
COMMENT ON OPERATOR oms.> (oms.money, oms.money) IS 'After: by currency, then by amount';
CREATE FUNCTION oms.money_ge(oms.money, oms.money) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_ge';
COMMENT ON FUNCTION oms.money_ge(oms.money, oms.money) IS 'After or same: by currency, then by amount';
CREATE OPERATOR oms.>= (LEFTARG = oms.money, RIGHTARG = oms.money, FUNCTION = oms.money_ge,
	COMMUTATOR = OPERATOR(oms.<=), NEGATOR = OPERATOR(oms.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);
COMMENT ON OPERATOR oms.>= (oms.money, oms.money) IS 'After or same: by currency, then by amount';

CREATE FUNCTION oms.money_cmp(oms.money, oms.money) RETURNS int
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_cmp';
COMMENT ON FUNCTION oms.money_cmp(oms.money, oms.money) IS '-1, 0 or 1: by currency, then by amount';
CREATE FUNCTION oms.money_hash(oms.money) RETURNS int
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_hash';
COMMENT ON FUNCTION oms.money_hash(oms.money) IS 'Hash of currency and amount';
CREATE FUNCTION oms.money_hash_extended(oms.money, bigint) RETURNS bigint
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_hash_extended';
COMMENT ON FUNCTION oms.money_hash_extended(oms.money, bigint) IS 'Hash of currency and amount, with a seed';

CREATE OPERATOR CLASS oms.money_ops DEFAULT FOR TYPE oms.money USING btree AS
	OPERATOR 1 oms.<, OPERATOR 2 oms.<=, OPERATOR 3 oms.=, OPERATOR 4 oms.>=, OPERATOR 5 oms.>,
	FUNCTION 1 oms.money_cmp(oms.money, oms.money);
CREATE OPERATOR CLASS oms.money_ops DEFAULT FOR TYPE oms.money USING hash AS
	OPERATOR 1 oms.=, FUNCTION 1 oms.money_hash(oms.money), FUNCTION 2 oms.money_hash_extended(oms.money, bigint);

CREATE FUNCTION oms.money_smaller(oms.money, oms.money) RETURNS oms.money
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_smaller';
COMMENT ON FUNCTION oms.money_smaller(oms.money, oms.money) IS 'The smaller of two amounts of one currency; raises OM012';
CREATE FUNCTION oms.money_larger(oms.money, oms.money) RETURNS oms.money
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'oms_money_larger';
COMMENT ON FUNCTION oms.money_larger(oms.money, oms.money) IS 'The larger of two amounts of one currency; raises OM012';
CREATE AGGREGATE oms.sum(oms.money) (SFUNC = oms.money_plus, STYPE = oms.money, COMBINEFUNC = oms.money_plus, PARALLEL = SAFE);
COMMENT ON AGGREGATE oms.sum(oms.money) IS 'Sum of amounts of one currency; null without rows. Raises OM012 for two currencies, OM017 beyond the range';
CREATE AGGREGATE oms.min(oms.money) (SFUNC = oms.money_smaller, STYPE = oms.money, COMBINEFUNC = oms.money_smaller, PARALLEL = SAFE);
COMMENT ON AGGREGATE oms.min(oms.money) IS 'Smallest amount of one currency; raises OM012 for two';
CREATE AGGREGATE oms.max(oms.money) (SFUNC = oms.money_larger, STYPE = oms.money, COMBINEFUNC = oms.money_larger, PARALLEL = SAFE);
COMMENT ON AGGREGATE oms.max(oms.money) IS 'Largest amount of one currency; raises OM012 for two';
