/* The rows that may need a score, from since to until (both inclusive): all after the checkpoint, and those before it */
/* that have none. score_metadata is the text of the row's score, null where it has none. A score that is not ours */
/* (its metadata does not name value and model) counts as none; of several scores of a row the newest counts. Up to the checkpoint, */
/* where most rows lie, only whether there is a score is looked at. (nullif, coalesce: ClickHouse joins an empty text or */
/* zero where there is no row. As: it names columns of a join with their table.) */
SELECT
  observations.metric_name AS metric_name,
  observations.metric_timestamp AS metric_timestamp,
  observations.metric_value AS metric_value,
  NULLIF(scores.metadata, '') AS score_metadata
FROM (
  SELECT
    metric_name,
    metric_timestamp,
    metric_value,
    coalesce(metric_value, -1.7976931348623157e308) AS row_order
  FROM `metrics`
  WHERE
    metric_batch = 'sales'
    AND metric_type = 'metric'
    AND metric_timestamp >= TIMESTAMP '2024-01-01 01:00:00.000000+00:00'
    AND metric_timestamp <= TIMESTAMP '2024-01-01 05:00:00.000000+00:00'
    AND metric_name IN ('a\'; drop table x; --', 'b')
) AS observations
LEFT JOIN (
  SELECT
    metric_name,
    metric_timestamp,
    metadata,
    ROW_NUMBER() OVER (PARTITION BY metric_name, metric_timestamp ORDER BY coalesce(metric_value, -1.7976931348623157e308) DESC) AS recency
  FROM `metrics`
  WHERE
    metric_batch = 'sales'
    AND metric_type = 'score'
    AND metric_timestamp > TIMESTAMP '2024-01-01 03:00:00.000000+00:00'
    AND metric_timestamp <= TIMESTAMP '2024-01-01 05:00:00.000000+00:00'
    AND metadata LIKE '{"value":%,"model":"%'
    AND metric_name IN ('a\'; drop table x; --', 'b')
) AS scores
  ON observations.metric_name = scores.metric_name
  AND observations.metric_timestamp = scores.metric_timestamp
  AND scores.recency = 1
LEFT JOIN (
  SELECT
    metric_name,
    metric_timestamp,
    1 AS is_scored
  FROM `metrics`
  WHERE
    metric_batch = 'sales'
    AND metric_type = 'score'
    AND metric_timestamp >= TIMESTAMP '2024-01-01 01:00:00.000000+00:00'
    AND metric_timestamp <= TIMESTAMP '2024-01-01 03:00:00.000000+00:00'
    AND metadata LIKE '{"value":%,"model":"%'
    AND metric_name IN ('a\'; drop table x; --', 'b')
) AS earlier
  ON observations.metric_name = earlier.metric_name
  AND observations.metric_timestamp = earlier.metric_timestamp
WHERE
  observations.metric_timestamp > TIMESTAMP '2024-01-01 03:00:00.000000+00:00'
  OR COALESCE(earlier.is_scored, 0) = 0
ORDER BY
  observations.metric_name NULLS LAST,
  observations.metric_timestamp NULLS LAST,
  observations.row_order NULLS LAST
