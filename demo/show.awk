# From psql's output (ECHO queries) to something to read. What scripts \echo
# starts with "# " (a heading) or "> " (a sentence); a statement starts with a
# keyword in the first column and ends with a semicolon; the rest are rows. A
# single value is shown on one line.

function put(text, kind)
{
	if (kind != last && last != "" && last != "head" && !(last == "sql" && kind == "rows"))
		print ""
	gsub(/\t/, "    ", text)
	print text
	last = kind
}

function flush_rows(	i)
{
	if (n == 3 && rows[2] ~ /^-+$/) {
		gsub(/^ +| +$/, "", rows[1])
		gsub(/^ +| +$/, "", rows[3])
		put("    " rows[1] ": " rows[3], "rows")
	} else
		for (i = 1; i <= n; i++)
			put("   " rows[i], "rows")
	n = 0
	fflush()
}

/^# /	{ flush_rows(); print ""; last = ""; put(bold substr($0, 3) plain, "head"); next }
/^> /	{ flush_rows(); put(substr($0, 3), "text"); next }
/^(SELECT|INSERT|UPDATE|DELETE|WITH|CALL|CREATE|ALTER|COPY|SET|EXPLAIN)( |;|$)/	{ flush_rows(); inside = 1 }
inside	{
	put("    " sql $0 plain, "sql")
	if (/;[ \t]*$/) inside = 0
	next
}
{ sub(/^psql:[^ ]*: /, "") }
/^(ERROR|WARNING|FATAL|PANIC):/		{ flush_rows(); put("    " red $0 plain, "rows"); next }
/^(DETAIL|HINT|NOTICE|LINE|CONTEXT):/	{ put("    " $0, "rows"); next }
/^ *$/	{ next }
	{ rows[++n] = $0 }
END	{ flush_rows() }
