with hours as (
    select date_trunc('hour', created_at) as hour, count(*)::double as signups, 100.0 * count(activated_at) / count(*) as activated
    from {{ accounts_table | identifier }}
    where created_at < date_trunc('hour', current_timestamp)
    group by all
)

select hour as metric_timestamp, 'signups' as metric_name, signups as metric_value
from hours
union all
select hour, 'activation_percent', activated
from hours
