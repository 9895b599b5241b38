{#- DuckDB SQL. The calendar makes a zero of an hour without orders; the hour that is not over yet is left out. -#}
with recent as (
    select date_trunc('hour', ordered_at) as hour, country, amount
    from {{ orders_table | identifier }}
    where ordered_at >= date_trunc('hour', current_timestamp) - interval {{ days | int }} day
        and ordered_at < date_trunc('hour', current_timestamp)
),

named as (
    select
        hour,
        amount,
        case when count(*) over (partition by country) >= {{ min_orders | int }} then lower(country) else 'other' end as country
    from recent
),

calendar as (
    select hour, country
    from unnest(generate_series(
        (select min(hour) from recent), date_trunc('hour', current_timestamp) - interval 1 hour, interval 1 hour
    )) as hours (hour)
    cross join (select distinct country from named) as countries
),

counted as (
    select
        calendar.hour,
        calendar.country,
        count(named.amount)::double as orders,
        coalesce(sum(named.amount), 0)::double as revenue,
        avg(named.amount)::double as mean_value
    from calendar
    left join named on named.hour = calendar.hour and named.country = calendar.country
    group by all
)

select hour as metric_timestamp, metric || '_' || country as metric_name, metric_value
from counted
unpivot (metric_value for metric in (orders, revenue, mean_value))
