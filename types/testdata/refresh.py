#!/usr/bin/env python3
"""Asks a PostgreSQL server for the last column of every case in the *.txt files here, and writes it back.

    PGHOST=… PGPORT=… PGUSER=… ./refresh.py [file.txt …]

A case is a line of fields between tabs: function, arguments, expected result. `set` lines change a
setting for the cases after them. `tests/postgres.rs` runs the same cases.
"""
import pathlib, subprocess, sys

SQL = {
    "add": "$1::numeric + $2::numeric", "sub": "$1::numeric - $2::numeric",
    "mul": "$1::numeric * $2::numeric", "div": "$1::numeric / $2::numeric",
    "rem": "$1::numeric % $2::numeric", "divt": "div($1::numeric, $2::numeric)",
    "power": "power($1::numeric, $2::numeric)", "log": "log($2::numeric, $1::numeric)",
    "ln": "ln($1::numeric)", "exp": "exp($1::numeric)", "sqrt": "sqrt($1::numeric)",
    "round": "round($1::numeric, $2::int)", "trunc": "trunc($1::numeric, $2::int)",
    "ceil": "ceil($1::numeric)", "floor": "floor($1::numeric)",
    "gcd": "gcd($1::numeric, $2::numeric)", "lcm": "lcm($1::numeric, $2::numeric)",
    "int2": "$1::numeric::int2", "int4": "$1::numeric::int4", "int8": "$1::numeric::int8",
    "to_float8": "$1::numeric::float8", "from_float8": "$1::float8::numeric",
    "to_float4": "$1::numeric::float4", "from_float4": "$1::float4::numeric",
    "cmp": "(case when $1::numeric < $2::numeric then -1 when $1::numeric = $2::numeric then 0 else 1 end)",
    "send": "encode(numeric_send($1::numeric), 'hex')",
    "extract_date": "extract($L1 from $2::date)", "extract_time": "extract($L1 from $2::time)",
    "extract_timestamp": "extract($L1 from $2::timestamp)",
    "extract_timestamptz": "extract($L1 from $2::timestamptz)",
    "extract_interval": "extract($L1 from $2::interval)",
    "trunc_timestamp": "date_trunc($1, $2::timestamp)", "trunc_timestamptz": "date_trunc($1, $2::timestamptz)",
    "trunc_interval": "date_trunc($1, $2::interval)",
    "age": "age($1::timestamp, $2::timestamp)", "minus": "$1::timestamp - $2::timestamp",
    "plus": "$1::timestamp + $2::interval", "plus_tz": "$1::timestamptz + $2::interval",
    "minus_interval": "$1::timestamp - $2::interval",
    "to_tz": "$1::timestamp at time zone $2", "from_tz": "$1::timestamptz at time zone $2",
    "interval_plus": "$1::interval + $2::interval", "interval_times": "$1::interval * $2::float8",
    "interval_by": "$1::interval / $2::float8",
    "justify_hours": "justify_hours($1::interval)", "justify_days": "justify_days($1::interval)",
    "justify_interval": "justify_interval($1::interval)",
    "make_date": "make_date($1::int, $2::int, $3::int)",
    "make_time": "make_time($1::int, $2::int, $3::float8)",
    "date_bin": "date_bin($1::interval, $2::timestamp, $3::timestamp)",
    "time_plus": "$1::time + $2::interval",
}
TRY = """create function pg_temp.try(q text) returns text language plpgsql as $$
declare r text; begin execute q into r; return coalesce(r, 'NULL');
exception when others then return sqlstate || ': ' || sqlerrm; end $$;"""

def quote(s):
    return "E'" + s.replace("\\", "\\\\").replace("'", "''") + "'"

def query(fields):
    name, args = fields[0], fields[1:-1]
    if name.startswith("in:"):
        return f"select format('%s', {quote(args[0])}::{name[3:]})"
    if name.startswith("cast:"):
        return f"select ({quote(args[0])}::text::{name[5:]})::text"
    text = SQL[name]
    for i in range(len(args), 0, -1):
        text = text.replace(f"$L{i}", '"' + args[i - 1] + '"').replace(f"${i}", quote(args[i - 1]))
    return f"select ({text})::text"

def refresh(path):
    lines = path.read_text().split("\n")
    script, places = [TRY, "set datestyle = 'ISO, MDY'; set timezone = 'UTC';"], []
    for at, line in enumerate(lines):
        fields = line.split("\t")
        if not line or line.startswith("#"):
            continue
        if fields[0] == "set":
            script.append(f"set {fields[1]} = {quote(fields[2])};")
        else:
            script.append(f"select pg_temp.try({quote(query(fields))});")
            places.append((at, fields))
    out = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"], input="\n".join(script),
                         capture_output=True, text=True)
    if out.returncode:
        sys.exit(out.stderr)
    results = out.stdout.split("\n")
    for (at, fields), result in zip(places, results[: len(places)], strict=True):
        lines[at] = "\t".join(fields[:-1] + [result])
    path.write_text("\n".join(lines))

here = pathlib.Path(__file__).parent
for file in sys.argv[1:] or sorted(here.glob("*.txt")):
    refresh(here / file)
