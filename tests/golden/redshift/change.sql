/* The rows in which changes of level are looked for: each metric's newest max_n timestamps from since to until (both inclusive), */
/* oldest first; rows that share a timestamp from old to new. */
SELECT
  metric_name,
  metric_timestamp,
  metric_value
FROM (
  SELECT
    metric_name,
    metric_timestamp,
    metric_value,
    coalesce(metric_value, cast('-1.7976931348623157e308' as double precision)) AS row_order,
    DENSE_RANK() OVER (PARTITION BY metric_name ORDER BY metric_timestamp DESC NULLS LAST) AS recency
  FROM "metrics"
  WHERE
    metric_batch = 'sales'
    AND metric_type = 'metric'
    AND metric_timestamp >= cast('2024-01-01 01:00:00.000000+00:00' as timestamptz)
    AND metric_timestamp <= cast('2024-01-01 05:00:00.000000+00:00' as timestamptz)
) AS observations
WHERE
  recency <= 2
ORDER BY
  metric_name,
  metric_timestamp,
  row_order
