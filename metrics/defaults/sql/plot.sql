-- What charts show: the newest max_n timestamps up to until (inclusive) of each metric and of its scores, oldest first.
select
    metric_name,
    metric_timestamp,
    metric_type,
    metric_value,
    metadata
from (
    select
        metric_name,
        metric_timestamp,
        metric_type,
        metric_value,
        metadata,
        {{ tie_break }} as row_order,
        dense_rank() over (partition by metric_name, metric_type order by metric_timestamp desc) as recency
    from {{ table }}
    where
        metric_batch = {{ batch }}
        and metric_type in ('metric', 'score')
        and metric_timestamp <= {{ until }}
        {%- if metrics is not none %}
        and metric_name in ({{ metrics }})
        {%- endif %}
) as history
where recency <= {{ max_n }}
order by metric_name, metric_type, metric_timestamp, row_order
