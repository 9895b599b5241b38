/* What `status` counts of each metric: the rows before the window (from since to checkpoint, exclusive) tell its cadence, those */
/* in it (to until, inclusive) what became of them. A row is judged when our score of it is of the value that it has now. The */
/* value that a score judged is read from the beginning of its metadata, {"value":12.5,"A":..., since no function for JSON is */
/* the same everywhere. Of several rows of a timestamp the newest counts. (newest.metric_value: to ClickHouse the name alone is the */
/* column that is made here.) */
SELECT
  metric_name,
  SUM(CASE WHEN metric_timestamp < cast('2024-01-01 03:00:00.000000+00:00' as timestamptz) THEN is_point ELSE 0 END) AS earlier,
  MIN(CASE WHEN is_point = 1 THEN metric_timestamp END) AS first_point,
  MAX(
    CASE
      WHEN is_point = 1 AND metric_timestamp < cast('2024-01-01 03:00:00.000000+00:00' as timestamptz)
      THEN metric_timestamp
    END
  ) AS last_earlier,
  MAX(CASE WHEN is_point = 1 THEN metric_timestamp END) AS last_point,
  MAX(CASE WHEN NOT score_metadata IS NULL THEN metric_timestamp END) AS last_score,
  SUM(CASE WHEN metric_timestamp >= cast('2024-01-01 03:00:00.000000+00:00' as timestamptz) THEN is_point ELSE 0 END) AS ingested,
  SUM(
    CASE
      WHEN metric_timestamp >= cast('2024-01-01 03:00:00.000000+00:00' as timestamptz) AND NOT score_metadata IS NULL
      THEN 1
      ELSE 0
    END
  ) AS scored,
  SUM(
    CASE
      WHEN metric_timestamp >= cast('2024-01-01 03:00:00.000000+00:00' as timestamptz)
      AND NOT score_metadata IS NULL
      AND score IS NULL
      THEN 1
      ELSE 0
    END
  ) AS without_score,
  SUM(
    CASE
      WHEN metric_timestamp >= cast('2024-01-01 03:00:00.000000+00:00' as timestamptz)
      AND score IS NULL
      AND score_metadata LIKE '%"reason":"cold_start"%'
      THEN 1
      ELSE 0
    END
  ) AS cold_start,
  SUM(
    CASE
      WHEN metric_timestamp >= cast('2024-01-01 03:00:00.000000+00:00' as timestamptz)
      AND score IS NULL
      AND score_metadata LIKE '%"reason":"not_finite"%'
      THEN 1
      ELSE 0
    END
  ) AS not_finite,
  SUM(
    CASE
      WHEN metric_timestamp >= cast('2024-01-01 03:00:00.000000+00:00' as timestamptz)
      AND score IS NULL
      AND score_metadata LIKE '%"reason":"excluded"%'
      THEN 1
      ELSE 0
    END
  ) AS excluded,
  SUM(
    CASE
      WHEN metric_timestamp >= cast('2024-01-01 03:00:00.000000+00:00' as timestamptz)
      AND score IS NULL
      AND score_metadata LIKE '%"reason":"before_start"%'
      THEN 1
      ELSE 0
    END
  ) AS before_start,
  SUM(
    CASE
      WHEN metric_timestamp >= cast('2024-01-01 03:00:00.000000+00:00' as timestamptz)
      AND score IS NULL
      AND score_metadata LIKE '%"reason":"ignored_period"%'
      THEN 1
      ELSE 0
    END
  ) AS ignored_period,
  SUM(CASE WHEN metric_timestamp >= cast('2024-01-01 03:00:00.000000+00:00' as timestamptz) THEN is_judged ELSE 0 END) AS judged,
  MIN(
    CASE
      WHEN metric_timestamp >= cast('2024-01-01 03:00:00.000000+00:00' as timestamptz) AND is_point = 1 AND is_judged = 0
      THEN metric_timestamp
    END
  ) AS oldest_waiting
FROM (
  SELECT
    metric_name,
    metric_timestamp,
    is_point,
    score,
    score_metadata,
    CASE
      WHEN is_point = 0 OR score_metadata IS NULL
      THEN 0
      WHEN metric_value IS NULL AND judged_value IS NULL
      THEN 1
      WHEN metric_value = judged_value
      THEN 1
      WHEN ABS(metric_value - judged_value) <= 0.000000001 * ABS(metric_value)
      THEN 1
      ELSE 0
    END AS is_judged
  FROM (
    SELECT
      metric_name,
      metric_timestamp,
      is_point,
      metric_value,
      score,
      score_metadata,
      TRY_CAST(NULLIF(SUBSTRING(score_metadata FROM 10 FOR POSITION(',' IN score_metadata) - 10), 'null') AS DOUBLE PRECISION) AS judged_value
    FROM (
      SELECT
        metric_name,
        metric_timestamp,
        MAX(CASE WHEN metric_type = 'metric' THEN 1 ELSE 0 END) AS is_point,
        MAX(CASE WHEN metric_type = 'metric' THEN newest.metric_value END) AS metric_value,
        MAX(CASE WHEN metric_type = 'score' THEN newest.metric_value END) AS score,
        MAX(CASE WHEN metric_type = 'score' THEN metadata END) AS score_metadata
      FROM (
        SELECT
          metric_name,
          metric_timestamp,
          metric_type,
          metric_value,
          metadata,
          ROW_NUMBER() OVER (
            PARTITION BY metric_name, metric_type, metric_timestamp
            ORDER BY coalesce(metric_value, cast('-1.7976931348623157e308' as double precision)) DESC NULLS LAST
          ) AS recency
        FROM "metrics"
        WHERE
          metric_batch = 'sales'
          AND metric_timestamp >= cast('2024-01-01 01:00:00.000000+00:00' as timestamptz)
          AND metric_timestamp <= cast('2024-01-01 05:00:00.000000+00:00' as timestamptz)
          AND (
            metric_type = 'metric'
            OR (
              metric_type = 'score' AND metadata LIKE '{"value":%,"model":"%'
            )
          )
      ) AS newest
      WHERE
        recency = 1
      GROUP BY
        metric_name,
        metric_timestamp
    ) AS points
  ) AS read_points
) AS judged_points
GROUP BY
  metric_name
ORDER BY
  metric_name
