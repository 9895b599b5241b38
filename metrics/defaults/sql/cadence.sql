-- How far apart a metric's rows were, from since to until (both inclusive), a row for each week back from its newest one: week 0
-- ends with that row. A pause belongs to the week in which it ended. All lengths are in seconds. The weeks begin at the metric's own
-- last row, so that nothing of this moves while the metric is silent.
select
    metric_name,
    week,
    count(pause) as pauses,
    sum(pause) as total,
    max(pause) as longest
from (
    select
        metric_name,
        date_diff('second', previous_timestamp, metric_timestamp) as pause,
        date_diff('second', metric_timestamp, last_point) // 604800 as week
    from (
        select
            metric_name,
            metric_timestamp,
            lag(metric_timestamp) over (partition by metric_name order by metric_timestamp) as previous_timestamp,
            max(metric_timestamp) over (partition by metric_name) as last_point,
            row_number() over (partition by metric_name order by metric_timestamp) as place
        from (
            select distinct
                metric_name,
                metric_timestamp
            from {{ table }}
            where
                metric_batch = {{ batch }}
                and metric_type = 'metric'
                and metric_timestamp >= {{ since }}
                and metric_timestamp <= {{ until }}
                {%- if metrics is not none %}
                and metric_name in ({{ metrics }})
                {%- endif %}
        ) as points
    ) as neighbours
    where place > 1
) as pauses
group by metric_name, week
order by metric_name, week
