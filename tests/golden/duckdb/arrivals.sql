-- How many metrics have a row at each timestamp, from since to until (both inclusive), oldest first.
select
    metric_timestamp,
    count(distinct metric_name) as metrics
from "metrics"
where
    metric_batch = 'sales'
    and metric_type = 'metric'
    and metric_timestamp >= TIMESTAMP WITH TIME ZONE '2024-01-01 01:00:00.000000+00:00'
    and metric_timestamp <= TIMESTAMP WITH TIME ZONE '2024-01-01 05:00:00.000000+00:00'
group by metric_timestamp
order by metric_timestamp
