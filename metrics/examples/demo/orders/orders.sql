{#- One row an hour and metric. The hours come from a calendar, so an hour without orders is a zero, not a gap. -#}
with hours as (
    select unnest(generate_series(
        (select date_trunc('hour', min(ordered_at)) from orders),
        (select date_trunc('hour', max(ordered_at)) from orders) - interval 1 hour,
        interval 1 hour
    )) as hour
)

{% for country in countries -%}
select
    hours.hour as metric_timestamp,
    {{ ("orders_" ~ country) | literal }} as metric_name,
    count(orders.order_id) as metric_value
from hours
left join orders on date_trunc('hour', orders.ordered_at) = hours.hour and orders.country = {{ country | literal }}
group by hours.hour
union all
{% endfor -%}
select
    hours.hour,
    'revenue',
    coalesce(sum(orders.amount), 0)
from hours
left join orders on date_trunc('hour', orders.ordered_at) = hours.hour
group by hours.hour
