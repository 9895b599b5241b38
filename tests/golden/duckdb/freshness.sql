-- The newest row of each metric from since to until (both inclusive): whose rows may be overdue.
select
    metric_name,
    max(metric_timestamp) as last_point
from "metrics"
where
    metric_batch = 'sales'
    and metric_type = 'metric'
    and metric_timestamp >= TIMESTAMP WITH TIME ZONE '2024-01-01 01:00:00.000000+00:00'
    and metric_timestamp <= TIMESTAMP WITH TIME ZONE '2024-01-01 05:00:00.000000+00:00'
group by metric_name
order by metric_name
