create table users (id int primary key,
    name text not null,
    born date);
insert into users values (1, 'Ann', '1990-02-03'), (2, 'Bob', null);
select id,
       name
  from users
 where id = 1;
select * from users order by id;
\x
select * from users order by id;
\x
\t
select name from users order by id;
\t
\pset null '(null)'
select born from users order by id;
selct 1;
select zzz from users;
select name, nothing(id)
  from users
 where id = 2;
begin;
insert into users values (3, 'Cid', null);
insert into users values (3, 'Dup', null);
select 1;
commit;
select count(*) from users;
\echo :ROW_COUNT :SQLSTATE
select 1/0;
\echo :SQLSTATE :LAST_ERROR_MESSAGE
\set VERBOSITY verbose
\set VERBOSITY default
select 'a' as "Name", 1.50 as n, true as b, null as nothing;
select;
