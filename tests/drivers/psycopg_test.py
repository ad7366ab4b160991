"""psycopg 3 against a server: text and binary parameters and results, prepared statements, transactions, COPY.

Run by drivers.rs with a connection string; asserts, and prints `ok` at the end. Further
arguments choose parts; `cursors` and `arrays` need what the others left in table t.
"""

import datetime
import decimal
import sys

import psycopg
from psycopg import sql


def types(conn, binary):
    with conn.cursor(binary=binary) as cur:
        values = [
            ("smallint", 7),
            ("integer", -2147483648),
            ("bigint", 1 << 40),
            ("numeric", decimal.Decimal("12345.6789")),
            ("numeric", decimal.Decimal("-0.00")),
            ("float8", 0.1),
            ("float4", 1.5),
            ("boolean", True),
            ("text", "é'\"\\ and\ttab"),
            ("varchar(10)", "abc"),
            ("date", datetime.date(2024, 2, 29)),
            ("timestamp", datetime.datetime(2024, 2, 29, 12, 34, 56, 789000)),
            ("timestamptz", datetime.datetime(2024, 2, 29, 12, 0, tzinfo=datetime.timezone.utc)),
            ("interval", datetime.timedelta(days=3, seconds=7)),
        ]
        for of_type, value in values:
            for mark in ("%s", "%t", "%b"):
                query = sql.SQL("select {}::{}").format(sql.SQL(mark), sql.SQL(of_type))
                got = cur.execute(query, (value,)).fetchone()[0]
                assert got == value, (of_type, mark, value, got)
                null = cur.execute(query, (None,)).fetchone()[0]
                assert null is None, (of_type, mark, null)


def statements(conn):
    with conn.cursor() as cur:
        cur.execute("create table t (a int primary key, b text, c numeric(8,2))")
        cur.executemany("insert into t values (%s, %s, %s)", [(i, f"row {i}", i / 4) for i in range(1000)])
        assert cur.rowcount == 1000
        for i in range(20):  # prepared by itself after five times
            row = cur.execute("select b, c from t where a = %s", (i,)).fetchone()
            assert row == (f"row {i}", decimal.Decimal(i) / 4), row
        for i in range(3):
            row = cur.execute("select count(*) from t where a < %s", (i,), prepare=True).fetchone()
            assert row == (i,), row
        names = [column.name for column in cur.execute("select a, b as x from t limit 0").description]
        assert names == ["a", "x"], names
    conn.commit()


def cursors(conn):
    with conn.cursor(name="by_parts") as cur:  # DECLARE … CURSOR, FETCH
        cur.itersize = 300
        cur.execute("select a from t order by a")
        assert [row[0] for row in cur] == list(range(1000))
    conn.commit()


def arrays(conn):
    with conn.cursor() as cur:
        rows = cur.execute("select a from t where a = any(%s) order by a", ([3, 1, 5000],)).fetchall()
        assert rows == [(1,), (3,)], rows
    conn.commit()


def transactions(conn, other):
    try:
        with conn.transaction():
            conn.execute("insert into t values (2000, 'x', 0)")
            raise ValueError
    except ValueError:
        pass
    with conn.transaction():
        conn.execute("insert into t values (2001, 'x', 0)")
        try:
            with conn.transaction():  # a savepoint
                conn.execute("insert into t values (2001, 'dup', 0)")
            raise AssertionError("no error")
        except psycopg.errors.UniqueViolation as error:
            assert error.diag.constraint_name == "t_pkey", error.diag.constraint_name
        conn.execute("insert into t values (2002, 'y', 0)")
    rows = other.execute("select a from t where a >= 2000 order by a").fetchall()
    assert rows == [(2001,), (2002,)], rows
    other.rollback()
    try:
        conn.execute("select nothing from t")
        raise AssertionError("no error")
    except psycopg.errors.UndefinedColumn as error:
        assert error.diag.statement_position == "8", error.diag.statement_position
    try:
        conn.execute("select 1")
        raise AssertionError("no error")
    except psycopg.errors.InFailedSqlTransaction:
        pass
    conn.rollback()
    assert conn.execute("select 1").fetchone() == (1,)
    conn.commit()


def copy(conn):
    with conn.cursor() as cur:
        cur.execute("create table k (a int, b text)")
        with cur.copy("copy k (a, b) from stdin") as out:
            for i in range(5000):
                out.write_row((i, None if i % 3 == 0 else f"tab\t{i}"))
        assert cur.execute("select count(*), count(b) from k").fetchone() == (5000, 3333)
        with cur.copy("copy (select a, b from k order by a) to stdout") as source:
            rows = list(source.rows())
        with cur.copy("copy k (a, b) from stdin (format binary)") as out:
            out.set_types(["int4", "text"])
            out.write_row((6000, "binary"))
            out.write_row((6001, None))
        with cur.copy("copy (select * from k where a >= 6000 order by a) to stdout (format binary)") as source:
            source.set_types(["int4", "text"])
            assert list(source.rows()) == [(6000, "binary"), (6001, None)]
        assert len(rows) == 5000 and rows[0] == ("0", None) and rows[1] == ("1", "tab\t1"), rows[:2]
    conn.commit()


def pipeline(conn):
    with conn.pipeline():
        cursors = [conn.execute("select %s::int + 1", (i,)) for i in range(50)]
    assert [cursor.fetchone()[0] for cursor in cursors] == list(range(1, 51))
    conn.commit()


def main():
    parts = sys.argv[2:] or ["types", "statements", "cursors", "arrays", "transactions", "copy", "pipeline"]
    with psycopg.connect(sys.argv[1]) as conn, psycopg.connect(sys.argv[1]) as other:
        assert conn.info.server_version // 10000 == 15, conn.info.server_version
        if "types" in parts:
            types(conn, binary=False)
            types(conn, binary=True)
        if "statements" in parts:
            statements(conn)
        if "cursors" in parts:
            cursors(conn)
        if "arrays" in parts:
            arrays(conn)
        if "transactions" in parts:
            transactions(conn, other)
        if "copy" in parts:
            copy(conn)
        if "pipeline" in parts and psycopg.Pipeline.is_supported():
            pipeline(conn)
    print("ok")


main()
