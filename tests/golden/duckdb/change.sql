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
        rowid as row_order,
        dense_rank() over (partition by metric_name order by metric_timestamp desc) as recency
    from "metrics"
    where
        metric_batch = 'sales'
        and metric_type = 'metric'
        and metric_timestamp >= TIMESTAMP WITH TIME ZONE '2024-01-01 01:00:00.000000+00:00'
        and metric_timestamp <= TIMESTAMP WITH TIME ZONE '2024-01-01 05:00:00.000000+00:00'
) as observations
where recency <= 2
order by metric_name, metric_timestamp, row_order
