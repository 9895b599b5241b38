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
        {{ tie_break }} as row_order
    from {{ table }}
    where
        metric_batch = {{ batch }}
        and metric_type = 'score'
        and metric_timestamp >= {{ since }}
        and metadata like '{"value":%,"model":"%'
        {%- if metrics is not none %}
        and metric_name in ({{ metrics }})
        {%- endif %}
) as scores
order by metric_name, metric_timestamp, row_order
