-- Small pieces of HTML and SVG, each one query. The page has no script and
-- loads nothing: it can be mailed, or kept beside the figures it shows.

CREATE SCHEMA IF NOT EXISTS page;

CREATE FUNCTION page.esc(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT replace(replace(replace(replace(value, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;')
$$;

-- 1234567.5 -> 1,234,567.50; trailing zeros only where decimals are asked for.
CREATE FUNCTION page.number(value numeric, decimals int DEFAULT 0) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT trim(to_char(value, 'FM999,999,999,999,990' || CASE WHEN decimals > 0 THEN '.' || repeat('0', decimals) ELSE '' END))
$$;

-- Axis labels: 1500000 -> 1.5M
CREATE FUNCTION page.short(value numeric) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE
		WHEN abs(value) >= 1000000 THEN trim_scale(round(value / 1000000, 2)) || 'M'
		WHEN abs(value) >= 1000 THEN trim_scale(round(value / 1000, 2)) || 'k'
		ELSE trim_scale(round(value, 2))::text
	END
$$;

-- The step between two grid lines: 1, 2 or 5 times a power of ten, at most five of them to the top.
CREATE FUNCTION page.step(top numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
	SELECT min(m * p) FROM (SELECT power(10::numeric, floor(log(greatest(top, 1) / 5)))) AS a(p), unnest(ARRAY[1, 2, 5, 10]) AS m
	WHERE m * p >= greatest(top, 1) / 5
$$;

-- Colour class of each series, by its place in the list; those without data are left out.
CREATE FUNCTION page.legend(series text[], data jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT '<p class="legend">' || string_agg(format('<span><i class="c%s"></i>%s</span>', n, page.esc(s)), ' ' ORDER BY n) || '</p>'
	FROM unnest(series) WITH ORDINALITY AS u(s, n)
	WHERE EXISTS (SELECT FROM jsonb_array_elements(data) AS d WHERE d->>'s' = s AND (d->>'v')::numeric > 0)
	HAVING cardinality(series) > 1
$$;

-- Stacked columns. data: [{"x": label, "s": series, "v": value}, ...]; axis: all labels in their order, series as given.
CREATE FUNCTION page.columns(title text, data jsonb, series text[], axis text[], unit text DEFAULT '', decimals int DEFAULT 0) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	WITH cell AS (
		SELECT d->>'x' AS x, d->>'s' AS s, (d->>'v')::numeric AS v, array_position(series, d->>'s') AS n, array_position(axis, d->>'x') - 1 AS i
		FROM jsonb_array_elements(data) AS d
	), top AS (
		SELECT coalesce(max(total), 1) AS total, page.step(coalesce(max(total), 1)) AS step FROM (SELECT sum(v) AS total FROM cell GROUP BY i) AS t
	), scale AS (
		SELECT step, step * greatest(ceil(total / step), 1) AS top, cardinality(axis) AS slots, least(582.0 / cardinality(axis) * 0.14, 6) AS gap FROM top
	), placed AS (
		SELECT *, coalesce(sum(v) OVER (PARTITION BY i ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS below FROM cell
	)
	SELECT '<figure><figcaption>' || page.esc(title) || '</figcaption>' || coalesce(page.legend(series, data), '')
		|| format('<svg viewBox="0 0 640 230" role="img" aria-label="%s">', page.esc(title))
		|| (SELECT string_agg(format('<line class="%1$s" x1="52" x2="634" y1="%2$s" y2="%2$s"/><text x="46" y="%3$s" text-anchor="end">%4$s</text>',
					CASE WHEN g = 0 THEN 'base' ELSE 'grid' END, round(200 - 186 * g / top, 1), round(204 - 186 * g / top, 1), page.short(g)), '')
			FROM scale, generate_series(0, top, step) AS g)
		|| coalesce((SELECT string_agg(format('<rect class="c%s" x="%s" y="%s" width="%s" height="%s"><title>%s%s: %s%s</title></rect>',
					n, round(52 + 582.0 * i / slots + gap, 2), round(200 - 186 * (below + v) / top, 2), round(582.0 / slots - 2 * gap, 2), round(186 * v / top, 2),
					page.esc(x), CASE WHEN cardinality(series) > 1 THEN ', ' || page.esc(s) ELSE '' END, page.number(v, decimals), page.esc(unit)), '' ORDER BY i, n)
			FROM placed, scale WHERE v > 0), '')
		|| (SELECT string_agg(format('<text x="%s" y="220" text-anchor="middle">%s</text>', round(52 + 582.0 * (i - 0.5) / slots, 1), page.esc(x)), '' ORDER BY i)
			FROM unnest(axis) WITH ORDINALITY AS a(x, i), scale WHERE (i - 1) % ceil(slots / 9.0)::int = 0)
		|| '</svg></figure>'
	FROM scale
$$;

-- Bars from the left, stacked. data as above; x are the names of the bars, in order of appearance; names: the width they get.
CREATE FUNCTION page.bars(title text, data jsonb, series text[], unit text DEFAULT '', names int DEFAULT 220) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	WITH cell AS (
		SELECT d->>'x' AS x, d->>'s' AS s, (d->>'v')::numeric AS v, array_position(series, d->>'s') AS n, at
		FROM jsonb_array_elements(data) WITH ORDINALITY AS e(d, at)
	), slot AS (
		SELECT x, row_number() OVER (ORDER BY min(at)) - 1 AS i, sum(v) AS total FROM cell GROUP BY x
	), scale AS (
		SELECT (574 - names) / greatest(max(total), 1) AS unit_width, count(*) AS slots FROM slot
	), placed AS (
		SELECT c.*, slot.i, coalesce(sum(v) OVER (PARTITION BY c.x ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS below
		FROM cell c JOIN slot USING (x)
	)
	SELECT '<figure><figcaption>' || page.esc(title) || '</figcaption>' || coalesce(page.legend(series, data), '')
		|| format('<svg viewBox="0 0 640 %s" role="img" aria-label="%s">', slots * 22 + 4, page.esc(title))
		|| coalesce((SELECT string_agg(format('<text class="name" x="%1$s" y="%2$s" text-anchor="end">%3$s</text><text x="%4$s" y="%2$s">%5$s</text>',
					names, i * 22 + 15, page.esc(CASE WHEN length(x) > names / w THEN left(x, (names / w)::int - 1) || '…' ELSE x END),
					round(names + 14 + unit_width * total, 1), page.number(total)), '' ORDER BY i)
			FROM slot, scale, LATERAL (SELECT CASE x WHEN upper(x) THEN 9.0 ELSE 7.0 END) AS c(w)), '')
		|| coalesce((SELECT string_agg(format('<rect class="c%s" x="%s" y="%s" width="%s" height="14"><title>%s%s: %s%s</title></rect>',
					n, round(names + 8 + unit_width * below, 2), i * 22 + 4, round(unit_width * v, 2),
					page.esc(x), CASE WHEN cardinality(series) > 1 THEN ', ' || page.esc(s) ELSE '' END, page.number(v), page.esc(unit)), '' ORDER BY i, n)
			FROM placed, scale WHERE v > 0), '')
		|| '</svg></figure>'
	FROM scale
$$;

-- A table. rows: [[cell, ...], ...]; a column whose align is r holds figures.
CREATE FUNCTION page.grid(head text[], align text, rows jsonb, caption text DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT '<div class="scroll"><table>' || coalesce('<caption>' || page.esc(caption) || '</caption>', '') || '<thead><tr>'
		|| (SELECT string_agg(format('<th%s>%s</th>', CASE substr(align, n::int, 1) WHEN 'r' THEN ' class="r"' ELSE '' END, page.esc(h)), '' ORDER BY n)
			FROM unnest(head) WITH ORDINALITY AS u(h, n))
		|| '</tr></thead><tbody>'
		|| coalesce((SELECT string_agg('<tr>' || (
				SELECT string_agg(format('<td%s>%s</td>', CASE substr(align, n::int, 1) WHEN 'r' THEN ' class="r"' ELSE '' END, coalesce(page.esc(c), '')), '' ORDER BY n)
				FROM jsonb_array_elements_text(r) WITH ORDINALITY AS u(c, n)) || '</tr>', '' ORDER BY at)
			FROM jsonb_array_elements(rows) WITH ORDINALITY AS e(r, at)), '<tr><td colspan="' || cardinality(head) || '">none</td></tr>')
		|| '</tbody></table></div>'
$$;

-- A row of large figures. cards: [[figure, what], ...]
CREATE FUNCTION page.cards(cards jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT '<div class="cards">' || string_agg(format('<div><b>%s</b><span>%s</span></div>', page.esc(c->>0), page.esc(c->>1)), '' ORDER BY at) || '</div>'
	FROM jsonb_array_elements(cards) WITH ORDINALITY AS e(c, at)
$$;
