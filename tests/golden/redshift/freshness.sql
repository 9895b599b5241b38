/* The newest row of each metric from since to until (both inclusive): whose rows may be overdue. */
SELECT
  metric_name,
  MAX(metric_timestamp) AS last_point
FROM "metrics"
WHERE
  metric_batch = 'sales'
  AND metric_type = 'metric'
  AND metric_timestamp >= cast('2024-01-01 01:00:00.000000+00:00' as timestamptz)
  AND metric_timestamp <= cast('2024-01-01 05:00:00.000000+00:00' as timestamptz)
GROUP BY
  metric_name
ORDER BY
  metric_name
