select 1
select o_orderkey from orders where o_orderkey = 5
select o_orderkey from orders where o_orderkey in (5, 7, 5, 1)
select * from orders where o_orderkey = $1
select o_orderkey from orders where o_orderkey between 5 and 7 and o_custkey = 3
select o_custkey from orders where o_custkey = 5
select * from orders order by o_orderkey limit 10
select * from orders order by o_orderkey desc limit 10
select * from orders order by o_custkey, o_orderkey limit 3
select count(*) from orders
select o_orderstatus, count(*) from orders group by o_orderstatus having count(*) > 5
select o_orderstatus, o_custkey, count(*) from orders group by rollup (o_orderstatus, o_custkey)
select distinct o_orderstatus from orders
select distinct on (o_custkey) o_custkey, o_orderdate from orders order by o_custkey, o_orderdate desc
select * from nation n left join region r on n.n_regionkey = r.r_regionkey where r.r_name = 'ASIA'
select * from nation n left join region r on n.n_regionkey = r.r_regionkey where r.r_name is null
select * from nation n left join region r on n.n_regionkey = r.r_regionkey and r.r_name = 'ASIA'
select * from nation n right join region r on n.n_regionkey = r.r_regionkey where n.n_name = 'X'
select * from nation n full join region r on n.n_regionkey = r.r_regionkey
select * from nation n full join region r on n.n_regionkey = r.r_regionkey where n.n_name > 'A'
select * from nation, region
select * from nation n1, nation n2 where n1.n_nationkey < n2.n_nationkey
select n_name from nation where n_regionkey in (select r_regionkey from region where r_name = 'ASIA')
select n_name from nation where n_regionkey not in (select r_regionkey from region)
select n_name from nation where n_comment not in (select r_comment from region)
select n_name from nation where exists (select 1 from region where r_regionkey = n_regionkey and r_name = 'ASIA')
select n_name from nation where not exists (select 1 from region where r_regionkey = n_regionkey)
select n_name from nation where n_name = 'X' or exists (select 1 from region where r_regionkey = n_regionkey)
select n_name from nation where n_name = 'X' or n_regionkey in (select r_regionkey from region)
select n_name, (select r_name from region where r_regionkey = n_regionkey) from nation
select n_name, (select count(*) from customer where c_nationkey = n_nationkey) from nation
select n_name, (select max(c_acctbal) from customer where c_nationkey = n_nationkey) + 1 from nation
select n_name, (select c_name from customer where c_nationkey = n_nationkey order by c_acctbal desc limit 1) from nation
select n_name from nation where n_regionkey > all (select r_regionkey from region where r_name < n_name)
select n_name from nation where n_regionkey = any (select r_regionkey from region where r_name < n_name)
select n_name from nation where (select count(*) from customer where c_nationkey > n_nationkey) > 5
select n_name, array(select r_name::text from region where r_regionkey = n_regionkey) from nation
select * from nation n, lateral (select c_name from customer where c_nationkey = n.n_nationkey order by c_acctbal limit 2) c
select * from nation n left join lateral (select count(*) as c from customer where c_nationkey = n.n_nationkey) x on true
select * from nation n, generate_series(1, n.n_nationkey) g
with a as (select * from nation) select * from a where n_nationkey = 3
with a as (select n_regionkey, count(*) as c from nation group by 1) select * from a x, a y where x.n_regionkey = y.c
with a as materialized (select * from nation) select * from a where n_nationkey = 3
with recursive t(n) as (select 1 union all select n + 1 from t where n < 5) select * from t
select n_name from nation union select r_name from region
select n_name from nation union all select r_name from region order by 1
select n_regionkey from nation intersect select r_regionkey from region
select n_regionkey from nation except all select r_regionkey from region
select * from (select n_regionkey as k from nation union all select r_regionkey from region) x where k = 3
select * from (select n_regionkey, count(*) as c from nation group by n_regionkey) x where n_regionkey = 3 and c > 2
select n_name, rank() over (partition by n_regionkey order by n_name) from nation
select * from (select n_name, n_regionkey, row_number() over (partition by n_regionkey order by n_name) as r from nation) x where n_regionkey = 2 and r = 1
select * from customer c join orders o on c.c_custkey = o.o_custkey where c.c_custkey = 17
select * from lineitem where l_orderkey = 1 and l_linenumber = 2
select * from part where p_name like 'forest%' and p_size > 5
select p_type, min(p_retailprice) from part where p_brand like 'Brand#1%' group by p_type order by 2 desc limit 5
select * from orders where false
select * from orders where 1 = 2 and o_orderkey = 1
select * from orders for update
insert into nation values (1, 'X', 2, null)
insert into nation select r_regionkey + 100, r_name, r_regionkey, null from region returning n_nationkey
insert into nation values (1, 'X', 2, null) on conflict (n_nationkey) do update set n_name = excluded.n_name
update orders set o_totalprice = o_totalprice + 1 where o_orderkey = 5 returning o_totalprice
update orders set o_comment = c_name from customer where o_custkey = c_custkey and c_custkey = 7
delete from lineitem where l_orderkey = 5
delete from lineitem using orders where l_orderkey = o_orderkey and o_custkey = 5
values (1, 'a'), (2, 'b')
select case when n_regionkey = 1 then (select max(r_name) from region) else n_name end from nation
select n_name from nation where n_regionkey = (select min(r_regionkey) from region where r_name > n_name)
select sum(l_quantity) from lineitem, part where p_partkey = l_partkey and p_size = (select max(p_size) from part p2 where p2.p_brand = part.p_brand)
select c_custkey from customer where (c_custkey, c_nationkey) in (select o_custkey, o_shippriority from orders)
select c_custkey from customer where (c_custkey, c_nationkey) not in (select o_custkey, o_shippriority from orders)
select 1 from nation where exists (select 1 from region where exists (select 1 from customer where c_nationkey = n_nationkey and c_custkey = r_regionkey))
select n_name from nation where n_nationkey in (select c_nationkey from customer where c_acctbal > (select avg(c_acctbal) from customer c2 where c2.c_nationkey = customer.c_nationkey))
select * from nation where n_nationkey = 1 and n_regionkey = n_nationkey
select * from nation n, customer c, supplier s where n.n_nationkey = c.c_nationkey and c.c_nationkey = s.s_nationkey and n.n_nationkey = 5
select max(o_orderkey) from orders
select o_orderdate, sum(o_totalprice) over (order by o_orderdate rows between 1 preceding and current row) from orders
select o_orderkey from orders offset 5
select unnest(array[1, 2, 3]), n_name from nation
