-- What `list` and `status` tell of each metric: how many rows it has up to until (inclusive), its oldest and
-- newest row, its newest score.
select
    metric_name,
    sum(case when metric_type = 'metric' then 1 else 0 end) as points,
    min(case when metric_type = 'metric' then metric_timestamp end) as first_point,
    max(case when metric_type = 'metric' then metric_timestamp end) as last_point,
    max(case when metric_type = 'score' then metric_timestamp end) as last_score
from "metrics"
where
    metric_batch = 'sales'
    and metric_type in ('metric', 'score')
    and metric_timestamp <= TIMESTAMP WITH TIME ZONE '2024-01-01 05:00:00.000000+00:00'
group by metric_name
order by metric_name
