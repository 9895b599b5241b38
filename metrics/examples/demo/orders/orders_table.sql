-- The demo's source table: eight weeks of orders of a small shop (UTC), busy by day, calm at night, slower on Sundays.
-- Invented, and the same on every machine: noise is read from MD5 digests, not from a random generator.
-- On 2022-05-09 from 16:00 to 19:59 the payment provider of Germany fails, and almost no order comes through.
create or replace table orders as
with noise as (
    select
        hour,
        country,
        mean * (1 + 0.55 * sin((extract(hour from hour) - 8.5) * pi() / 12))
        * case when dayofweek(hour) = 0 then 0.7 else 1 end as expected,
        -- the sum of twelve uniform numbers is close enough to a normal one
        list_sum(list_transform(range(12), i -> (md5_number(concat(country, hour, i)) % 1000000) / 1000000.0)) - 6 as z
    from unnest(generate_series(timestamp '2022-03-21', timestamp '2022-05-16 20:00', interval 1 hour)) as hours (hour)
    cross join (values ('de', 48), ('fr', 30), ('it', 21)) as countries (country, mean)
),

counts as (
    select
        hour,
        country,
        case
            when country = 'de' and hour between timestamp '2022-05-09 16:00' and timestamp '2022-05-09 19:00'
                then (md5_number(concat('outage', hour)) % 3)::integer
            else greatest(0, round(expected + z * sqrt(expected)))::integer
        end as orders
    from noise
)

select
    concat(country, '-', strftime(hour, '%Y%m%d%H'), '-', number) as order_id,
    hour + to_seconds((3600 * (number - 0.5) / orders)::integer) as ordered_at,
    country,
    round(18 + 64 * (md5_number(concat(country, hour, 'amount', number)) % 1000) / 1000.0, 2)::double as amount
from counts
cross join lateral unnest(generate_series(1, orders)) as numbers (number)
