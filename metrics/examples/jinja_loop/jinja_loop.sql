{#- Names go through `identifier` and values through `literal`, which quote them for the database. -#}
{% for service in services %}
select
    date_trunc('hour', finished_at) as metric_timestamp,
    {{ ("requests_" ~ service) | literal }} as metric_name,
    count(*)::double as metric_value
from {{ requests_table | identifier }}
where service = {{ service | literal }} and finished_at < date_trunc('hour', current_timestamp)
group by all
union all
select
    date_trunc('hour', finished_at),
    {{ ("errors_" ~ service) | literal }},
    count(*) filter (where status >= 500)::double
from {{ requests_table | identifier }}
where service = {{ service | literal }} and finished_at < date_trunc('hour', current_timestamp)
group by all
{{ "union all" if not loop.last }}
{% endfor %}
