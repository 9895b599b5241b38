-- The rows in which changes of level are looked for: each metric's newest max_n timestamps from since to until (both inclusive),
-- oldest first; rows that share a timestamp from old to new.
select
    metric_name,
    metric_timestamp,
    metric_value
from (
    select
        metric_name,
        metric_timestamp,
        metric_value,
        {{ tie_break }} as row_order,
        dense_rank() over (partition by metric_name order by metric_timestamp desc) as recency
    from {{ table }}
    where
        metric_batch = {{ batch }}
        and metric_type = 'metric'
        and metric_timestamp >= {{ since }}
        and metric_timestamp <= {{ until }}
) as observations
where recency <= {{ max_n }}
order by metric_name, metric_timestamp, row_order
