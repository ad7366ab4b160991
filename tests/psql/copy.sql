create table t (a int primary key, b text, c numeric(6,2));
copy t from stdin;
1	one	1.50
2	\N	\N
3	three\tand tab	-0.25
\.
select * from t order by a;
\copy t to 'out.txt'
\copy t to 'out.csv' with (format csv, header)
truncate t;
\copy t from 'out.txt'
select count(*) from t;
truncate t;
\copy t from 'out.csv' with (format csv, header)
select * from t order by a;
copy t to stdout;
copy (select a, b from t where a > 1 order by a) to stdout with (format csv);
copy t from stdin;
4	four	x
\.
select count(*) from t;
