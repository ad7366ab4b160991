#!/bin/sh
# Asks a PostgreSQL 15 (where PGHOST, PGPORT, PGUSER point) again for the answers in the *.txt here,
# which must be run in UTC with collation C. Keeps the expressions, rewrites what stands after the tab.
set -e
cd "$(dirname "$0")"
for file in ${*:-*.txt}; do
    cut -f1 "$file" > "$file.in"
    {
        cat <<'SQL'
\set QUIET on
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
set timezone = 'UTC';
create function pg_temp.probe(q text) returns text language plpgsql as $$
declare t text; r text;
begin
    if q = '' or q like '--%' then return q; end if;
    execute 'select pg_typeof(x)::text, x::text from (select ' || q || ' as x offset 0) s' into t, r;
    return q || E'\t' || t || E'\t' || coalesce(replace(r, E'\n', '\n'), 'NULL');
exception when others then
    return q || E'\tERROR\t' || sqlstate || ' ' || replace(sqlerrm, E'\n', '\n');
end $$;
create temp table lines (n serial, q text);
SQL
        echo "copy lines (q) from stdin (format csv, delimiter E'\\x01', quote E'\\x02');"
        cat "$file.in"
        echo '\.'
        echo "select pg_temp.probe(coalesce(q, '')) from lines order by n;"
    } | psql -X -q -d "${PGDATABASE:-postgres}" -f - > "$file.out"
    mv "$file.out" "$file"
    rm "$file.in"
done
