{#- The finished jobs of the last week, up to the last full hour. -#}
select *
from {{ jobs_table | identifier }}
where ended_at >= current_timestamp - interval 7 day and ended_at < date_trunc('hour', current_timestamp)
