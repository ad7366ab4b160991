#!/usr/bin/env python3
"""Compares the parser with libpg_query (Python package pglast), by hand; nothing builds or tests on this.

    cargo build -p parser --example parse
    pip install pglast
    parser/tests/oracle.py [--seed N] [--count N] [FILE.sql ...]

Three questions, over the testdata, the files given and random queries:
  accept   is the same text accepted, or refused with the same message at the same place?
  shape    printed back (every operator in parentheses), has it the same tree for libpg_query?
  mutate   the first question again for statements with a few tokens dropped, swapped or added.

What differs and is meant to: libpg_query is a later PostgreSQL than the parser's 15 (testdata/refused.sql);
`LIMIT ALL` and frames without BETWEEN print in their long form; statements known by name only (Unsupported)
are not looked into; for unfinished two-word commands (`CREATE TEXT x`) the parser may name the first word.
"""

import argparse
import collections
import json
import os
import random
import re
import subprocess

import pglast
from pglast.parser import ParseError

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
BINARY = os.path.join(TARGET, "debug", "examples", "parse")
C, R = random.choice, random.random


def ours(texts, *arguments):
    run = subprocess.run([BINARY, *arguments], input="\0".join(texts) + "\0", capture_output=True, text=True, check=True)
    return run.stdout.split("\0")[:-1]


def theirs(text):
    try:
        pglast.parser.parse_sql_json(text)
        return None
    except ParseError as error:
        place = error.args[1] if len(error.args) > 1 else None
        return error.args[0], place


def accept(name, texts, show):
    count = collections.Counter()
    for text, line in zip(texts, ours(texts)):
        if "UnsupportedStmt" in line:
            count["unsupported"] += 1
            continue
        want = theirs(text)
        if line.startswith("ok"):
            same = want is None
        else:
            _, _, place, message = line.split(" ", 3)
            same = want is not None and message == want[0] and want[1] in (None, int(place) - 1)
        kind = ("same" if same else "DIFFERENT") + (", accepted" if want is None else ", refused")
        count[kind] += 1
        if not same and count["shown"] < show:
            count["shown"] += 1
            print(f"{name}: {text[:300]!r}\n  ours   {line[:200]}\n  theirs {want}")
    print(name, dict(count))


def stripped(tree):
    if isinstance(tree, dict):
        return {key: stripped(value) for key, value in tree.items() if "location" not in key and "stmt_len" not in key
                and not re.search(r"list_(start|end)$", key)}
    if isinstance(tree, list):
        return [stripped(value) for value in tree]
    return tree


def tree(text):
    return stripped(json.loads(pglast.parser.parse_sql_json(text))["stmts"])


def shape(name, texts, show):
    count = collections.Counter()
    for text, line in zip(texts, ours(texts, "deparse")):
        printed = line[3:]
        if not line.startswith("ok") or not printed.strip("; "):
            count["not printed"] += 1
            continue
        try:
            want = tree(text)
        except ParseError:
            count["not theirs"] += 1
            continue
        try:
            same = tree(printed) == want
        except ParseError as error:
            same, printed = False, f"{error}: {printed}"
        count["same" if same else "DIFFERENT"] += 1
        if not same and count["shown"] < show:
            count["shown"] += 1
            print(f"{name}: {text[:300]!r}\n  printed {printed[:300]!r}")
    print(name, dict(count))


TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|[A-Za-z_][A-Za-z_0-9]*|\d+|\s+|.", re.S)


def mutations(base, count):
    pool = [token for text in base for token in TOKEN.findall(text) if not token.isspace()]
    for _ in range(count):
        tokens = TOKEN.findall(C(base))
        for _ in range(C([1, 1, 1, 2])):
            at, chance = random.randrange(len(tokens)), R()
            if chance < 0.3:
                del tokens[at]
            elif chance < 0.6:
                tokens[at] = C(pool)
            elif chance < 0.85:
                tokens.insert(at, f" {C(pool)} ")
            else:
                other = random.randrange(len(tokens))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            tokens = tokens or ["x"]
        yield "".join(tokens)


OPERATORS=['+','-','*','/','%','^','<','>','=','<=','>=','<>','!=','||','->','->>','@>','&&','~','!~*','<<','|','OPERATOR(pg_catalog.+)','AND','OR','AND','OR','@-','<->']
PREFIXES=['-','+','NOT ','@ ','~ ','- ','NOT ','!! ']
TYPES=['int','text','numeric(10,2)','timestamptz','s.typ','int[]','varchar(3)','double precision','interval','"char"','bit(3)','time(2) without time zone']
def primary(d):
    k=C(['n','n','c','c','s','p','par','f','case','sub','ex','arr','row','cast','typ','coal','ind','cur','spec'])
    if d<=0 and k not in 'ncsp' : k=C(['n','c','s','p'])
    if k=='n': return C(['1','2.5','1e3','.5','0x1f','12345678901','99999999999999999999'])
    if k=='c': return C(['a','t.b','"C d"','s.t.e','name','value','x','day','year'])
    if k=='s': return C(["'x'","E'a\\\\nb'","$$q$$","B'01'","null","true","false"])
    if k=='p': return C(['$1','$2[1]','$3.f'])
    if k=='par': return '('+expr(d-1)+')'+C(['','','[1]','.f','.*' if False else ''])
    if k=='f': return C(['f','lower','s.g','left'])+'('+C(['','*',expr(d-1),expr(d-1)+','+expr(d-1),'DISTINCT '+expr(d-1)+' ORDER BY '+expr(d-1)+' DESC','VARIADIC '+expr(d-1),'q => '+expr(d-1)])+')'+C(['','','',' FILTER (WHERE '+expr(d-1)+')',' OVER (PARTITION BY '+expr(d-1)+' ORDER BY '+expr(d-1)+')',' OVER w'])
    if k=='case': return 'CASE '+C(['',expr(d-1)])+' WHEN '+expr(d-1)+' THEN '+expr(d-1)+C(['',' ELSE '+expr(d-1)])+' END'
    if k=='sub': return '('+select(d-1)+')'
    if k=='ex': return 'EXISTS ('+select(d-1)+')'
    if k=='arr': return C(['ARRAY['+expr(d-1)+','+expr(d-1)+']','ARRAY('+select(d-1)+')'])
    if k=='row': return C(['ROW('+expr(d-1)+')','('+expr(d-1)+','+expr(d-1)+')'])
    if k=='cast': return 'CAST('+expr(d-1)+' AS '+C(TYPES)+')'
    if k=='typ': return C(["date '2020-01-01'","interval '1' day","int '5'","s.typ 'q'","numeric(3,1) '1'","interval '1 day'","timestamp with time zone 'now'"])
    if k=='coal': return C(['COALESCE','GREATEST','LEAST'])+'('+expr(d-1)+','+expr(d-1)+')'
    if k=='ind': return C(['a[1]','a[1:2]','(t.c).d','a[:2][3]','t.a[1].b'])
    if k=='cur': return C(['current_date','current_timestamp(3)','user','session_user'])
    if k=='spec': return C(['EXTRACT(year FROM '+expr(d-1)+')','substring('+expr(d-1)+' FROM '+expr(d-1)+' FOR '+expr(d-1)+')','trim(both '+expr(d-1)+' from '+expr(d-1)+')','position(a in b)','overlay('+expr(d-1)+' placing '+expr(d-1)+' from 1)','nullif('+expr(d-1)+','+expr(d-1)+')'])
def expr(d):
    if d<=0: return primary(0)
    out=(C(PREFIXES) if R()<.15 else '')+primary(d-1)
    for _ in range(C([0,0,1,1,1,2,2,3])):
        k=R()
        if k<.62: out+=' '+C(OPERATORS)+' '+(C(PREFIXES) if R()<.1 else '')+primary(d-1)
        elif k<.68: out+=C([' IS NULL',' IS NOT NULL',' ISNULL',' IS TRUE',' IS NOT UNKNOWN',' NOTNULL'])
        elif k<.72: out+=' IS '+C(['','NOT '])+'DISTINCT FROM '+primary(d-1)
        elif k<.77: out+=C([' ',' NOT '])+C(['LIKE ','ILIKE ','SIMILAR TO '])+primary(d-1)+C(['',' ESCAPE '+primary(d-1)])
        elif k<.81: out+=C([' ',' NOT '])+'IN ('+C([expr(d-1),expr(d-1)+','+expr(d-1),select(d-1)])+')'
        elif k<.85: out+=C([' ',' NOT '])+'BETWEEN '+C(['','SYMMETRIC '])+primary(d-1)+C(['',' + '+primary(0),' = '+primary(0)])+' AND '+primary(d-1)
        elif k<.90: out+='::'+C(TYPES)
        elif k<.93: out+=' COLLATE "C"'
        elif k<.96: out+=' AT TIME ZONE '+primary(d-1)
        else: out+=' '+C(['=','<','~'])+' '+C(['ANY','ALL','SOME'])+' ('+C([expr(d-1),select(d-1)])+')'
    return out
def table(d):
    k=R()
    if d<=0 or k<.4: return C(['t','s.t','only u','t *'])+C(['',' x',' AS y (a,b)'])
    if k<.55: return C(['','LATERAL '])+'('+select(d-1)+') AS q'
    if k<.65: return 'f('+expr(d-1)+')'+C(['',' WITH ORDINALITY'])+C([' g',' AS g (a, b)'])
    if k<.9: return table(d-1)+C([' JOIN ',' LEFT JOIN ',' FULL OUTER JOIN ',' RIGHT JOIN '])+table(d-1)+C([' ON '+expr(d-1),' USING (a)'])
    if k<.95: return table(d-1)+' CROSS JOIN '+table(0)
    return '('+table(d-1)+' JOIN '+table(d-1)+' ON true) AS j'
def select(d):
    if d>0 and R()<.15:
        return C(['','('])and '('+select(d-1)+') '+C(['UNION','UNION ALL','EXCEPT','INTERSECT'])+' '+select(0) or select(d-1)+C([' UNION ',' EXCEPT ALL ',' INTERSECT '])+select(d-1)
    if R()<.08: return 'VALUES (1,'+expr(d-1)+')'
    s='SELECT '+C(['','DISTINCT ','DISTINCT ON (a) '])+', '.join(expr(d)+C(['',' AS q',' lbl','']) for _ in range(C([1,1,2])))
    if R()<.7: s+=' FROM '+', '.join(table(d) for _ in range(C([1,1,2])))
    if R()<.5: s+=' WHERE '+expr(d)
    if R()<.15: s+=' GROUP BY '+C([expr(d-1),'ROLLUP (a, b)','()','GROUPING SETS ((a), (b, c))'])
    if R()<.1: s+=' HAVING '+expr(d-1)
    if R()<.2: s+=' ORDER BY '+expr(d-1)+C(['',' DESC',' NULLS FIRST'])
    if R()<.1: s+=' LIMIT '+primary(0)
    return s


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--count", type=int, default=2000)
    arguments.add_argument("--show", type=int, default=10)
    arguments.add_argument("files", nargs="*")
    given = arguments.parse_args()
    random.seed(given.seed)
    lines = []
    for name in ("everyday.sql", "expressions.sql"):
        with open(os.path.join(HERE, "..", "testdata", name)) as file:
            lines += [line.rstrip("\n") for line in file if line.strip() and not line.startswith("--")]
    accept("testdata", lines, given.show)
    shape("testdata", lines, given.show)
    for path in given.files:
        with open(path) as file:
            parts = list(pglast.split(re.sub(r"^\\.*$", "", file.read(), flags=re.M)))
        accept(path, parts, given.show)
        shape(path, parts, given.show)
    random_queries = [select(3) for _ in range(given.count)]
    accept("random", random_queries, given.show)
    shape("random", random_queries, given.show)
    accept("mutated", list(mutations(lines, given.count)), given.show)


if __name__ == "__main__":
    main()
