.timeout 20000
create table if not exists log(who text, n integer);
begin immediate; insert into log values('a', 1); insert into log values('a', 2); commit;
begin immediate; insert into log values('a', 3); commit;
insert into log values('a', 4);
insert into log select 'a', 4 + value from json_each('[1,2,3,4,5,6,7,8]');
