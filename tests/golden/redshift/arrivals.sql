/* How many metrics have a row at each timestamp, from since to until (both inclusive), oldest first. */
SELECT
  metric_timestamp,
  COUNT(DISTINCT metric_name) AS metrics
FROM "metrics"
WHERE
  metric_batch = 'sales'
  AND metric_type = 'metric'
  AND metric_timestamp >= cast('2024-01-01 01:00:00.000000+00:00' as timestamptz)
  AND metric_timestamp <= cast('2024-01-01 05:00:00.000000+00:00' as timestamptz)
GROUP BY
  metric_timestamp
ORDER BY
  metric_timestamp
