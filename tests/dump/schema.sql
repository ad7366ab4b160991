-- What tests/dump.rs dumps and restores: every kind of object, and values that need escaping.
create schema app;
set search_path=app;
create table parent (id integer generated always as identity primary key, name varchar(30) not null, created timestamptz default now(), amount numeric(12,2) default 0 check (amount >= 0));
create table child (id serial primary key, parent_id int not null references parent(id) on delete cascade deferrable initially deferred, t text, arr int[], j jsonb, b bytea, d date, ti time, iv interval, u uuid, f float8, r real, bo bool, g int generated always as (1+2) stored, unique (parent_id, t));
create index child_lower on child (lower(t));
create index child_part on child (t desc nulls last) include (d) where bo;
create sequence sq increment 5 minvalue 5 start 10 cycle;
-- A view names its tables in full: its query is kept as it was written.
create view v as select p.id, p.name, count(c.id) as n from app.parent p left join app.child c on c.parent_id = p.id group by p.id, p.name;
comment on table parent is 'it''s parents';
comment on column parent.name is 'name';
comment on view v is 'a view';
comment on index child_lower is 'idx';
alter table child add constraint chk check (f > 0 or f is null) not valid;
insert into parent (name, amount) values ('a',1.5),('b',2),(E'tab\there \\ "q"',3);
insert into child (parent_id,t,arr,j,b,d,ti,iv,u,f,r,bo) values (1,'x','{1,2,NULL}','{"a":[1,"x"]}','\x00ff','2020-02-29','12:00:01.5','1 mon 2 days','00000000-0000-0000-0000-000000000001',1.5,2.5,true),(2,null,null,null,null,null,null,null,null,null,null,null);
select nextval('sq');
