-- How many metrics have a row at each timestamp, from since to until (both inclusive), oldest first.
select
    metric_timestamp,
    count(distinct metric_name) as metrics
from {{ table }}
where
    metric_batch = {{ batch }}
    and metric_type = 'metric'
    and metric_timestamp >= {{ since }}
    and metric_timestamp <= {{ until }}
group by metric_timestamp
order by metric_timestamp
