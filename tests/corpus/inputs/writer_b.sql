.timeout 20000
create table if not exists log(who text, n integer);
begin immediate; insert into log values('b', 1); insert into log values('b', 2); commit;
begin immediate; insert into log values('b', 3); commit;
insert into log values('b', 4);
insert into log select 'b', 4 + value from json_each('[1,2,3,4,5,6,7,8]');
