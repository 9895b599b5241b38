{#- Each table has a column `country`. What stands under `value` is SQL of the batch's own and is not quoted. -#}
{% for name, source in sources | dictsort %}
{%- for country in countries %}
select
    date_trunc('day', {{ source.time | identifier }}) as metric_timestamp,
    {{ (name ~ "_" ~ country) | literal }} as metric_name,
    ({{ source.value }})::double as metric_value
from {{ source.table | identifier }}
where country = {{ country | literal }} and {{ source.time | identifier }} < date_trunc('day', current_timestamp)
group by all
{% if not loop.last %}union all{% endif %}
{%- endfor %}
{% if not loop.last %}union all{% endif %}
{% endfor %}
