-- About a second of SQL in memory: inserts, an index, joins, an update and a delete.
-- @PLACES@ and @VISITS@ are filled in before it runs.
create table place(id integer primary key, name text, height real, note text);
create table visit(id integer primary key, place integer, day integer, remark text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < @PLACES@)
insert into place select i, 'cairn ' || (i * 7919 % 60013), i * 0.25, substr('weathered granite, lichen on the north face', 1, i % 43) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < @VISITS@)
insert into visit select i, i * 31 % @PLACES@ + 1, i % 365, 'remark ' || (i % 977) from n;
create index place_name on place(name);
create index visit_place on visit(place, day);
select count(*), sum(length(remark)) from visit join place on place.id = visit.place where place.height > @PLACES@ / 12;
select day, count(distinct place.name), max(remark) from visit join place on place.id = visit.place group by day order by 2 desc, 1 limit 5;
update place set note = note || ', seen' where id in (select place from visit where day < 40);
delete from visit where day % 3 = 0;
select count(*), sum(length(note)) from place;
select count(*) from visit;
