/* What `list` and `status` tell of each metric: how many rows it has up to until (inclusive), its oldest and */
/* newest row, its newest score. */
SELECT
  metric_name,
  SUM(CASE WHEN metric_type = 'metric' THEN 1 ELSE 0 END) AS points,
  MIN(CASE WHEN metric_type = 'metric' THEN metric_timestamp END) AS first_point,
  MAX(CASE WHEN metric_type = 'metric' THEN metric_timestamp END) AS last_point,
  MAX(CASE WHEN metric_type = 'score' THEN metric_timestamp END) AS last_score
FROM "metrics"
WHERE
  metric_batch = 'sales'
  AND metric_type IN ('metric', 'score')
  AND metric_timestamp <= cast('2024-01-01 05:00:00.000000+00:00' as timestamptz)
GROUP BY
  metric_name
ORDER BY
  metric_name
