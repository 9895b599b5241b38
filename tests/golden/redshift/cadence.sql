/* How far apart a metric's rows were, from since to until (both inclusive), a row for each week back from its newest one: week 0 */
/* ends with that row. A pause belongs to the week in which it ended. All lengths are in seconds. The weeks begin at the metric's own */
/* last row, so that nothing of this moves while the metric is silent. */
SELECT
  metric_name,
  week,
  COUNT(pause) AS pauses,
  SUM(pause) AS total,
  MAX(pause) AS longest
FROM (
  SELECT
    metric_name,
    DATEDIFF(SECOND, CAST(previous_timestamp AS TIMESTAMP), CAST(metric_timestamp AS TIMESTAMP)) AS pause,
    CAST(TRUNC(
      CAST(DATEDIFF(SECOND, CAST(metric_timestamp AS TIMESTAMP), CAST(last_point AS TIMESTAMP)) AS DOUBLE PRECISION) / 604800
    ) AS BIGINT) AS week
  FROM (
    SELECT
      metric_name,
      metric_timestamp,
      LAG(metric_timestamp) OVER (PARTITION BY metric_name ORDER BY metric_timestamp) AS previous_timestamp,
      MAX(metric_timestamp) OVER (PARTITION BY metric_name) AS last_point,
      ROW_NUMBER() OVER (PARTITION BY metric_name ORDER BY metric_timestamp) AS place
    FROM (
      SELECT DISTINCT
        metric_name,
        metric_timestamp
      FROM "metrics"
      WHERE
        metric_batch = 'sales'
        AND metric_type = 'metric'
        AND metric_timestamp >= cast('2024-01-01 01:00:00.000000+00:00' as timestamptz)
        AND metric_timestamp <= cast('2024-01-01 05:00:00.000000+00:00' as timestamptz)
        AND metric_name IN ('a''; drop table x; --', 'b')
    ) AS points
  ) AS neighbours
  WHERE
    place > 1
) AS pauses
GROUP BY
  metric_name,
  week
ORDER BY
  metric_name,
  week
