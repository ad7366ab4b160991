-- Expressions whose shape is easily lost; each is printed and read again.
SELECT a - b - c, a - (b - c), a ^ b ^ c, (a ^ b) ^ c, -a ^ b, -(a ^ b), - (-1), 2 - -1, (-1)::int, -1::int, -(1::int)
SELECT NOT a = b, (NOT a) = b, NOT (a AND b), a AND (b AND c), (a AND b) AND c, a OR b AND c, (a OR b) AND c
SELECT a IN (1), a NOT IN (1, 2), a IN ((SELECT 1) + 1), (a, b) IN (ROW(1, 2)), a = ANY (ARRAY[1]), a = ANY ((SELECT b) || '{}')
SELECT a::text COLLATE "C", (a || b) COLLATE "C", a COLLATE "C" || b, a AT TIME ZONE 'x' AT TIME ZONE 'y', (a + b) AT TIME ZONE c
SELECT a BETWEEN b AND c AND d, a BETWEEN (b IS NULL) AND c, NOT a BETWEEN b AND c, a NOT BETWEEN SYMMETRIC -1 AND 1
SELECT a LIKE b || c ESCAPE d, a NOT LIKE b, (a LIKE b) = c, a ILIKE ANY (ARRAY['x']), a SIMILAR TO b ESCAPE '\'
SELECT a[1][2], (a.b).c, (f(x)).y[1], a[1:2], (ARRAY[1,2])[1], ($1).a, $1[1], (SELECT ARRAY[1])[1], ((SELECT x)).a
SELECT 'it''s', E'a\\b', E'tab\t', '', $$a$$, B'01', X'ff', 1.50, 1e10, .5, 9223372036854775808, -9223372036854775808, 0xff
SELECT interval '1' day, interval '1 2' day to second(3), interval(2) '1', interval '1 day', char 'x', char(1) 'x', bit '1', bit(1) '1', N'x', date '2020-01-01', x.y '1', numeric(3, 1) '1'
SELECT a::bpchar, a::char, a::"char", a::bit, a::bit varying, a::varchar, a::timestamp(3) with time zone[], a::int[3], a::s."T"(1, 'x'), a::interval year, a::double precision
SELECT f(), f(*), f(DISTINCT a ORDER BY b DESC), f(VARIADIC a), f(a => 1), s.f(1), "F"(1), f(a) FILTER (WHERE b), f(a) OVER (), f(a) OVER w, f(a) WITHIN GROUP (ORDER BY b) FROM t WINDOW w AS (PARTITION BY a ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES)
SELECT "left"(a), left(a, 1), "select", "int", "Mixed", "a b", name, "user", user, position(a in b), "position"(a, b)
SELECT (a IS NULL) IS TRUE, a IS DISTINCT FROM b, a IS NOT DISTINCT FROM (b AND c), (a = b) IS UNKNOWN
SELECT CASE WHEN a THEN CASE b WHEN 1 THEN 2 END ELSE 3 END, COALESCE(a, CASE WHEN b THEN c END), NULLIF(a, b)
SELECT ROW(), ROW(1), (1, 2), ROW(1, (2, 3)), ROW(t.*), ARRAY[]::int[], ARRAY[[1, 2], [3, 4]], ARRAY[ARRAY[1]]
SELECT EXISTS (SELECT 1), ARRAY(SELECT 1 ORDER BY 1), a > ALL (SELECT 1), a = SOME (SELECT 1), NOT a IN (SELECT 1), (SELECT 1) = (SELECT 2)
SELECT ~ a, @ a, a OPERATOR(s.+) b, OPERATOR(s.-) b, a <> b, a != b, a -> 'b' ->> 'c', a || b || c, |/ a, a #- b
SELECT EXTRACT(year FROM a), SUBSTRING(a FROM 1 FOR 2), SUBSTRING(a FOR 2), TRIM(a), TRIM(a, b), OVERLAY(a PLACING b FROM 1), a IS NFC NORMALIZED, (a, b) OVERLAPS (c, d)
SELECT * FROM (a JOIN b USING (x) AS j) k CROSS JOIN c NATURAL FULL JOIN d LEFT JOIN (e JOIN f ON true) ON true
SELECT * FROM ((SELECT 1 LIMIT 1) UNION (SELECT 2 UNION SELECT 3)) x, LATERAL f(x.a) WITH ORDINALITY y (a, b), g() AS (a int), ROWS FROM (h(), i() AS (b text)) z
(SELECT 1 UNION SELECT 2) INTERSECT SELECT 3
SELECT 1 UNION (SELECT 2 EXCEPT SELECT 3) ORDER BY 1 LIMIT 2
(SELECT 1 ORDER BY 1) UNION ALL (WITH x AS (SELECT 2) SELECT * FROM x) ORDER BY 1
SELECT 1 UNION SELECT 2 INTERSECT SELECT 3 INTERSECT ALL SELECT 4 EXCEPT SELECT 5
