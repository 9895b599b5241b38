-- The newest row of each metric from since to until (both inclusive): whose rows may be overdue.
select
    metric_name,
    max(metric_timestamp) as last_point
from {{ table }}
where
    metric_batch = {{ batch }}
    and metric_type = 'metric'
    and metric_timestamp >= {{ since }}
    and metric_timestamp <= {{ until }}
group by metric_name
order by metric_name
