{#- One pass over each table; an empty table has rows but no freshness. DuckDB SQL. -#}
with health as (
    {% for name, column in tables | dictsort %}
    select
        {{ name | literal }} as name,
        count(*)::double as row_count,
        count(*) filter (where {{ column | identifier }} >= current_timestamp - interval 1 day)::double as rows_of_last_day,
        (epoch(current_timestamp) - epoch(max({{ column | identifier }})::timestamptz)) / 60 as minutes_since_newest
    from {{ name | identifier }}
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select current_timestamp as metric_timestamp, name || '_' || metric as metric_name, metric_value
from health
unpivot (metric_value for metric in (row_count, rows_of_last_day, minutes_since_newest))
