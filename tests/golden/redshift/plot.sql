/* What charts show: the newest max_n timestamps up to until (inclusive) of each metric and of its scores, oldest first. */
SELECT
  metric_name,
  metric_timestamp,
  metric_type,
  metric_value,
  metadata
FROM (
  SELECT
    metric_name,
    metric_timestamp,
    metric_type,
    metric_value,
    metadata,
    coalesce(metric_value, cast('-1.7976931348623157e308' as double precision)) AS row_order,
    DENSE_RANK() OVER (PARTITION BY metric_name, metric_type ORDER BY metric_timestamp DESC NULLS LAST) AS recency
  FROM "metrics"
  WHERE
    metric_batch = 'sales'
    AND metric_type IN ('metric', 'score')
    AND metric_timestamp <= cast('2024-01-01 05:00:00.000000+00:00' as timestamptz)
    AND metric_name IN ('a''; drop table x; --', 'b')
) AS history
WHERE
  recency <= 2
ORDER BY
  metric_name,
  metric_type,
  metric_timestamp,
  row_order
