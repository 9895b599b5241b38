-- Any rows will do: eight sensors that measure about twenty.
select current_timestamp as metric_timestamp, 'sensor_' || number as metric_name, 20 + random() as metric_value
from range(1, 9) as sensors (number)
