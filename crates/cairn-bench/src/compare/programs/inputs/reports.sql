-- What a reporting program asks: sums over groups, joins by hash, sorts, text and JSON that is built and taken apart, a recursion, a function.
select count(*), sum(delta), sum(aid % 7) from pgbench_history;
select sum(abalance) from pgbench_accounts;
create temporary table visit as
  select n as id, n * 31 % 5003 as place, n % 365 as day, 'remark ' || n % 977 as remark from generate_series(1, :rows) n;
select count(*), sum(total), sum(length(names)) from
  (select place, count(*) as total, string_agg(remark, ', ' order by day, id) as names from visit group by place) g;
select sum(jsonb_array_length(list)), count(distinct list) from
  (select jsonb_agg(jsonb_build_object('id', id, 'remark', remark, 'days', array[day, day + 1])) as list
   from visit group by place) g;
select count(*), max(a.remark), min(b.remark) from visit a join visit b on a.id = b.place and a.day <> b.day;
select sum(length(part)) from visit, regexp_split_to_table(remark, ' ') part;
select md5(string_agg(md5(remark || id), '' order by remark, id)) from visit;
with recursive walk(at, steps) as (select 1, 0 union all select at * 7 % 100003, steps + 1 from walk where steps < :rows / 4)
  select count(*), max(at) from walk;
create function pg_temp.words(n int) returns bigint language plpgsql as $$
declare
  list text[] := '{}';
  total bigint := 0;
begin
  for i in 1 .. n loop
    list := list || ('word ' || i % 91);
    if cardinality(list) > 60 then
      total := total + length(array_to_string(list, ','));
      list := '{}';
    end if;
  end loop;
  return total;
end $$;
select pg_temp.words(:rows / 2);
