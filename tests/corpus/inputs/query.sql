create table t(k integer primary key, v integer, name text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
  insert into t select i, (i * 7919) % 1000, 'row ' || i from n;
create index by_v on t(v);
begin;
update t set v = v + 1 where k % 7 = 0;
delete from t where k % 13 = 0;
commit;
select count(*), sum(v), min(name), max(name) from t;
select v, count(*) c from t group by v order by c desc, v limit 5;
select printf('%.3f', avg(v)), hex(substr(name, 1, 4)), typeof(v) from t where v between 100 and 110;
begin; delete from t; rollback;
select count(*) from t;
