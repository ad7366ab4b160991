create table region (r_regionkey integer not null primary key, r_name char(25) not null, r_comment varchar(152));
create table nation (n_nationkey integer primary key, n_name char(25) not null unique, n_regionkey integer not null references region, n_comment varchar(152) default 'none', n_area numeric(15,2) check (n_area > 0), n_since timestamp);
create index nation_regionkey on nation (n_regionkey);
create view big as select n_name, n_area from nation where n_area > 1000000;
\d
\dt
\di
\dv
\d region
\d nation
\d nation_regionkey
\d big
\dt nat*
\d nowhere
