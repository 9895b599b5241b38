-- What `status` counts of each metric: the rows before the window (from since to checkpoint, exclusive) tell its cadence, those
-- in it (to until, inclusive) what became of them. A row is judged when our score of it is of the value that it has now. The
-- value that a score judged is read from the beginning of its metadata, {"value":12.5,"A":..., since no function for JSON is
-- the same everywhere. Of several rows of a timestamp the newest counts. (newest.metric_value: to ClickHouse the name alone is the
-- column that is made here.)
select
    metric_name,
    sum(case when metric_timestamp < {{ checkpoint }} then is_point else 0 end) as earlier,
    min(case when is_point = 1 then metric_timestamp end) as first_point,
    max(case when is_point = 1 and metric_timestamp < {{ checkpoint }} then metric_timestamp end) as last_earlier,
    max(case when is_point = 1 then metric_timestamp end) as last_point,
    max(case when score_metadata is not null then metric_timestamp end) as last_score,
    sum(case when metric_timestamp >= {{ checkpoint }} then is_point else 0 end) as ingested,
    sum(case when metric_timestamp >= {{ checkpoint }} and score_metadata is not null then 1 else 0 end) as scored,
    sum(case when metric_timestamp >= {{ checkpoint }} and score_metadata is not null and score is null then 1 else 0 end) as without_score,
    sum(case when metric_timestamp >= {{ checkpoint }} and score is null and score_metadata like '%"reason":"cold_start"%' then 1 else 0 end)
        as cold_start,
    sum(case when metric_timestamp >= {{ checkpoint }} and score is null and score_metadata like '%"reason":"not_finite"%' then 1 else 0 end)
        as not_finite,
    sum(case when metric_timestamp >= {{ checkpoint }} and score is null and score_metadata like '%"reason":"excluded"%' then 1 else 0 end)
        as excluded,
    sum(case when metric_timestamp >= {{ checkpoint }} and score is null and score_metadata like '%"reason":"before_start"%' then 1 else 0 end)
        as before_start,
    sum(case when metric_timestamp >= {{ checkpoint }} and score is null and score_metadata like '%"reason":"ignored_period"%' then 1 else 0 end)
        as ignored_period,
    sum(case when metric_timestamp >= {{ checkpoint }} then is_judged else 0 end) as judged,
    min(case when metric_timestamp >= {{ checkpoint }} and is_point = 1 and is_judged = 0 then metric_timestamp end) as oldest_waiting
from (
    select
        metric_name,
        metric_timestamp,
        is_point,
        score,
        score_metadata,
        case
            when is_point = 0 or score_metadata is null then 0
            when metric_value is null and judged_value is null then 1
            when metric_value = judged_value then 1
            when abs(metric_value - judged_value) <= 0.000000001 * abs(metric_value) then 1
            else 0
        end as is_judged
    from (
        select
            metric_name,
            metric_timestamp,
            is_point,
            metric_value,
            score,
            score_metadata,
            try_cast(nullif(substring(score_metadata, 10, strpos(score_metadata, ',') - 10), 'null') as double) as judged_value
        from (
            select
                metric_name,
                metric_timestamp,
                max(case when metric_type = 'metric' then 1 else 0 end) as is_point,
                max(case when metric_type = 'metric' then newest.metric_value end) as metric_value,
                max(case when metric_type = 'score' then newest.metric_value end) as score,
                max(case when metric_type = 'score' then metadata end) as score_metadata
            from (
                select
                    metric_name,
                    metric_timestamp,
                    metric_type,
                    metric_value,
                    metadata,
                    row_number() over (partition by metric_name, metric_type, metric_timestamp order by {{ tie_break }} desc) as recency
                from {{ table }}
                where
                    metric_batch = {{ batch }}
                    and metric_timestamp >= {{ since }}
                    and metric_timestamp <= {{ until }}
                    and (metric_type = 'metric' or (metric_type = 'score' and metadata like '{"value":%,"model":"%'))
            ) as newest
            where recency = 1
            group by metric_name, metric_timestamp
        ) as points
    ) as read_points
) as judged_points
group by metric_name
order by metric_name
