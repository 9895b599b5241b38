/* The scores that exist since a time (inclusive), oldest first, for batches whose rows are aggregated into buckets: there a */
/* score belongs to a bucket, not to a row. Scores that are not ours are left out; of equal timestamps the newest row is last. */
SELECT
  metric_name,
  metric_timestamp,
  metadata
FROM (
  SELECT
    metric_name,
    metric_timestamp,
    metadata,
    coalesce(metric_value, cast('-1.7976931348623157e308' as double precision)) AS row_order
  FROM "metrics"
  WHERE
    metric_batch = 'sales'
    AND metric_type = 'score'
    AND metric_timestamp >= cast('2024-01-01 01:00:00.000000+00:00' as timestamptz)
    AND metadata LIKE '{"value":%,"model":"%'
    AND metric_name IN ('a''; drop table x; --', 'b')
) AS scores
ORDER BY
  metric_name,
  metric_timestamp,
  row_order
