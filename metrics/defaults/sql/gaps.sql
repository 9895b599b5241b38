-- The pauses between a metric's rows that are longer than its usual one, its step, from since to until (both inclusive): the rows on
-- both sides, the pause and the step in seconds, how many pauses there are and how many of them have the length of a step, and the
-- metric's first row. A step is the most frequent length, taken to a twelfth of an hour or of a lesser unit, so that rows a little early or
-- late have the same. Metrics of which less than half of the pauses have one length are left out.
select
    gaps.metric_name,
    gaps.previous_timestamp,
    gaps.metric_timestamp,
    gaps.pause,
    steps.step,
    steps.regular,
    gaps.pauses,
    gaps.first_point
from (
    select
        metric_name,
        previous_timestamp,
        metric_timestamp,
        date_diff('second', previous_timestamp, metric_timestamp) as pause,
        points - 1 as pauses,
        first_point
    from (
        select
            metric_name,
            metric_timestamp,
            lag(metric_timestamp) over (partition by metric_name order by metric_timestamp) as previous_timestamp,
            min(metric_timestamp) over (partition by metric_name) as first_point,
            count(*) over (partition by metric_name) as points,
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
) as gaps
inner join (
    select
        metric_name,
        step,
        regular,
        row_number() over (partition by metric_name order by regular desc, step) as place
    from (
        select
            metric_name,
            step,
            count(*) as regular
        from (
            select
                metric_name,
                case
                    when pause >= 3600 then (pause + 150) // 300 * 300
                    when pause >= 300 then (pause + 30) // 60 * 60
                    else (pause + 1) // 2 * 2
                end as step
            from (
                select
                    metric_name,
                    date_diff('second', previous_timestamp, metric_timestamp) as pause
                from (
                    select
                        metric_name,
                        metric_timestamp,
                        lag(metric_timestamp) over (partition by metric_name order by metric_timestamp) as previous_timestamp,
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
                    ) as rows_of_steps
                ) as neighbours_of_steps
                where place > 1
            ) as pauses_of_steps
        ) as lengths
        group by metric_name, step
    ) as frequencies
) as steps
    on gaps.metric_name = steps.metric_name
where
    steps.place = 1
    and 2 * steps.regular >= gaps.pauses
    and 2 * gaps.pause >= 3 * steps.step
order by gaps.metric_name, gaps.metric_timestamp
