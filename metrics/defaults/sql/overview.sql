-- What `list` and `status` tell of each metric: how many rows it has up to until (inclusive), its oldest and
-- newest row, its newest score.
select
    metric_name,
    sum(case when metric_type = 'metric' then 1 else 0 end) as points,
    min(case when metric_type = 'metric' then metric_timestamp end) as first_point,
    max(case when metric_type = 'metric' then metric_timestamp end) as last_point,
    max(case when metric_type = 'score' then metric_timestamp end) as last_score
from {{ table }}
where
    metric_batch = {{ batch }}
    and metric_type in ('metric', 'score')
    and metric_timestamp <= {{ until }}
group by metric_name
order by metric_name
