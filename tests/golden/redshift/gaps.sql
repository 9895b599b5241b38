/* The pauses between a metric's rows of one and a half steps or more, from since to until (both inclusive): the rows on both sides, the */
/* pause and the step in seconds, how many pauses the metric has, how many of them are as long as a step, and its first row. The step is */
/* the most frequent pause, to within 5 minutes from an hour on, to a minute from 5 minutes on, else to 2 seconds, so that rows may be a */
/* little early or late. Metrics of which less than half of the pauses have one length are left out. */
WITH neighbours AS (
  SELECT
    metric_name,
    metric_timestamp,
    LAG(metric_timestamp) OVER (PARTITION BY metric_name ORDER BY metric_timestamp) AS previous_timestamp,
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
), lengths AS (
  SELECT
    metric_name,
    metric_timestamp,
    previous_timestamp,
    DATEDIFF(SECOND, CAST(previous_timestamp AS TIMESTAMP), CAST(metric_timestamp AS TIMESTAMP)) AS pause
  FROM neighbours
  WHERE
    place > 1
), frequencies AS (
  SELECT
    metric_name,
    step,
    COUNT(*) AS regular,
    MIN(previous_timestamp) AS first_point
  FROM (
    SELECT
      metric_name,
      previous_timestamp,
      CASE
        WHEN pause >= 3600
        THEN (
          pause + 150
        ) - (
          pause + 150
        ) % 300
        WHEN pause >= 300
        THEN (
          pause + 30
        ) - (
          pause + 30
        ) % 60
        ELSE (
          pause + 1
        ) - (
          pause + 1
        ) % 2
      END AS step
    FROM lengths
  ) AS rounded
  GROUP BY
    metric_name,
    step
), steps AS (
  SELECT
    metric_name,
    step,
    regular,
    SUM(regular) OVER (PARTITION BY metric_name) AS pauses,
    MIN(first_point) OVER (PARTITION BY metric_name) AS first_point,
    ROW_NUMBER() OVER (PARTITION BY metric_name ORDER BY regular DESC NULLS LAST, step) AS place
  FROM frequencies
)
SELECT
  lengths.metric_name,
  lengths.previous_timestamp,
  lengths.metric_timestamp,
  lengths.pause,
  steps.step,
  steps.regular,
  steps.pauses,
  steps.first_point
FROM lengths
INNER JOIN steps
  ON lengths.metric_name = steps.metric_name
WHERE
  steps.place = 1
  AND 2 * steps.regular >= steps.pauses
  AND 2 * lengths.pause >= 3 * steps.step
ORDER BY
  lengths.metric_name,
  lengths.metric_timestamp
