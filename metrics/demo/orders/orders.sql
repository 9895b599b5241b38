{#- One row an hour and metric. The hours come from a calendar, so an hour without orders is a zero, not a gap. -#}
{%- set countries = ["de", "fr", "it"] -%}
with hours as (
    select unnest(generate_series(
        (select date_trunc('hour', min(ordered_at)) from orders),
        (select date_trunc('hour', max(ordered_at)) from orders) - interval 1 hour,
        interval 1 hour
    )) as hour
),

hourly as (
    select
        hours.hour,
        {%- for country in countries %}
        count(orders.order_id) filter (orders.country = '{{ country }}') as orders_{{ country }},
        {%- endfor %}
        coalesce(sum(orders.amount), 0) as revenue
    from hours
    left join orders on date_trunc('hour', orders.ordered_at) = hours.hour
    group by hours.hour
)

{% for country in countries -%}
select hour as metric_timestamp, 'orders_{{ country }}' as metric_name, orders_{{ country }} as metric_value from hourly
union all
{% endfor -%}
select hour, 'revenue', revenue from hourly
