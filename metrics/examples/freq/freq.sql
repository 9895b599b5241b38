-- Rows of one metric and time are one value, so that payments of the same microsecond are added here already.
select paid_at as metric_timestamp, 'paid_' || method as metric_name, sum(amount)::double as metric_value
from {{ payments_table | identifier }}
where paid_at >= current_timestamp - interval 7 day
group by all
