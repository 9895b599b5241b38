-- The rows that may need a score, from since to until (both inclusive): all after the checkpoint, and those before it
-- that have none. score_metadata is the text of the row's score, null where it has none. A score that is not ours
-- (its metadata does not name value and model) counts as none; of several scores of a row the newest counts. Up to the checkpoint,
-- where most rows lie, only whether there is a score is looked at. (nullif, coalesce: ClickHouse joins an empty text or
-- zero where there is no row. As: it names columns of a join with their table.)
select
    observations.metric_name as metric_name,
    observations.metric_timestamp as metric_timestamp,
    observations.metric_value as metric_value,
    nullif(scores.metadata, '') as score_metadata
from (
    select
        metric_name,
        metric_timestamp,
        metric_value,
        rowid as row_order
    from "metrics"
    where
        metric_batch = 'sales'
        and metric_type = 'metric'
        and metric_timestamp >= TIMESTAMP WITH TIME ZONE '2024-01-01 01:00:00.000000+00:00'
        and metric_timestamp <= TIMESTAMP WITH TIME ZONE '2024-01-01 05:00:00.000000+00:00'
        and metric_name in ('a''; drop table x; --', 'b')
) as observations
left join (
    select
        metric_name,
        metric_timestamp,
        metadata,
        row_number() over (partition by metric_name, metric_timestamp order by rowid desc) as recency
    from "metrics"
    where
        metric_batch = 'sales'
        and metric_type = 'score'
        and metric_timestamp > TIMESTAMP WITH TIME ZONE '2024-01-01 03:00:00.000000+00:00'
        and metric_timestamp <= TIMESTAMP WITH TIME ZONE '2024-01-01 05:00:00.000000+00:00'
        and metadata like '{"value":%,"model":"%'
        and metric_name in ('a''; drop table x; --', 'b')
) as scores
    on observations.metric_name = scores.metric_name
    and observations.metric_timestamp = scores.metric_timestamp
    and scores.recency = 1
left join (
    select
        metric_name,
        metric_timestamp,
        1 as is_scored
    from "metrics"
    where
        metric_batch = 'sales'
        and metric_type = 'score'
        and metric_timestamp >= TIMESTAMP WITH TIME ZONE '2024-01-01 01:00:00.000000+00:00'
        and metric_timestamp <= TIMESTAMP WITH TIME ZONE '2024-01-01 03:00:00.000000+00:00'
        and metadata like '{"value":%,"model":"%'
        and metric_name in ('a''; drop table x; --', 'b')
) as earlier
    on observations.metric_name = earlier.metric_name
    and observations.metric_timestamp = earlier.metric_timestamp
where
    observations.metric_timestamp > TIMESTAMP WITH TIME ZONE '2024-01-01 03:00:00.000000+00:00'
    or coalesce(earlier.is_scored, 0) = 0
order by observations.metric_name, observations.metric_timestamp, observations.row_order
