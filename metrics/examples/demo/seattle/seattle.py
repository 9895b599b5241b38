"""Read the daily Seattle weather that comes with vega-datasets."""

from importlib.metadata import distribution

import polars as pl

METRICS = ("temp_max", "wind", "precipitation")


def ingest() -> pl.DataFrame:
    """Return the day's highest temperature, wind speed and precipitation, one row a day and metric, in local days."""
    # The file is read where the distribution says it lies: importing vega_datasets would load pandas.
    path = distribution("vega-datasets").locate_file("vega_datasets/_data/seattle-weather.csv")
    days = pl.read_csv(str(path)).with_columns(metric_timestamp=pl.col("date").str.to_datetime("%Y/%m/%d"))
    return days.unpivot(METRICS, index="metric_timestamp", variable_name="metric_name", value_name="metric_value")
