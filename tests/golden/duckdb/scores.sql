-- The scores that exist since a time (inclusive), oldest first, for batches whose rows are aggregated into buckets: there a
-- score belongs to a bucket, not to a row. Scores that are not ours are left out; of equal timestamps the newest row is last.
select
    metric_name,
    metric_timestamp,
    metadata
from (
    select
        metric_name,
        metric_timestamp,
        metadata,
        rowid as row_order
    from "metrics"
    where
        metric_batch = 'sales'
        and metric_type = 'score'
        and metric_timestamp >= TIMESTAMP WITH TIME ZONE '2024-01-01 01:00:00.000000+00:00'
        and metadata like '{"value":%,"model":"%'
        and metric_name in ('a''; drop table x; --', 'b')
) as scores
order by metric_name, metric_timestamp, row_order
