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
        rowid as row_order,
        dense_rank() over (partition by metric_name, metric_type order by metric_timestamp desc) as recency
    from "metrics"
    where
        metric_batch = 'sales'
        and metric_type in ('metric', 'score')
        and metric_timestamp <= TIMESTAMP WITH TIME ZONE '2024-01-01 05:00:00.000000+00:00'
        and metric_name in ('a''; drop table x; --', 'b')
) as history
where recency <= 2
order by metric_name, metric_type, metric_timestamp, row_order
