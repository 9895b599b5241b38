-- The pauses between a metric's rows of one and a half steps or more, from since to until (both inclusive): the rows on both sides, the
-- pause and the step in seconds, how many pauses the metric has, how many of them are as long as a step, and its first row. The step is
-- the most frequent pause, to within 5 minutes from an hour on, to a minute from 5 minutes on, else to 2 seconds, so that rows may be a
-- little early or late. Metrics of which less than half of the pauses have one length are left out.
with neighbours as (
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
    ) as points
),

lengths as (
    select
        metric_name,
        metric_timestamp,
        previous_timestamp,
        date_diff('second', previous_timestamp, metric_timestamp) as pause
    from neighbours
    where place > 1
),

frequencies as (
    select
        metric_name,
        step,
        count(*) as regular,
        min(previous_timestamp) as first_point
    from (
        select
            metric_name,
            previous_timestamp,
            case
                when pause >= 3600 then (pause + 150) - (pause + 150) % 300
                when pause >= 300 then (pause + 30) - (pause + 30) % 60
                else (pause + 1) - (pause + 1) % 2
            end as step
        from lengths
    ) as rounded
    group by metric_name, step
),

steps as (
    select
        metric_name,
        step,
        regular,
        sum(regular) over (partition by metric_name) as pauses,
        min(first_point) over (partition by metric_name) as first_point,
        row_number() over (partition by metric_name order by regular desc, step) as place
    from frequencies
)

select
    lengths.metric_name,
    lengths.previous_timestamp,
    lengths.metric_timestamp,
    lengths.pause,
    steps.step,
    steps.regular,
    steps.pauses,
    steps.first_point
from lengths
inner join steps
    on lengths.metric_name = steps.metric_name
where
    steps.place = 1
    and 2 * steps.regular >= steps.pauses
    and 2 * lengths.pause >= 3 * steps.step
order by lengths.metric_name, lengths.metric_timestamp
