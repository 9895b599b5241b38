{#- One metric an hour of the rows in `recent`; the expression is SQL of the batch's own. -#}
{% macro metric(name, expression) -%}
select date_trunc('hour', ended_at) as metric_timestamp, {{ name | literal }} as metric_name, ({{ expression }})::double as metric_value
from recent
group by all
{%- endmacro %}
