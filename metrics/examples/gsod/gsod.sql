{#- BigQuery SQL. 9999.9, 999.9 and 99.99 are how the source says that a value is missing. -#}
with readings as (
    select
        date,
        case stn
            {%- for name, station in stations | dictsort %}
            when {{ station | literal }} then {{ name | literal }}
            {%- endfor %}
        end as place,
        nullif(temp, 9999.9) as temperature,
        nullif(safe_cast(wdsp as float64), 999.9) as wind,
        nullif(prcp, 99.99) as rain
    from `bigquery-public-data.noaa_gsod.gsod*`
    where _table_suffix >= format_date('%Y', date_sub(current_date(), interval {{ days | int }} day))
        and date >= date_sub(current_date(), interval {{ days | int }} day)
        and stn in ({{ stations.values() | list | literal }})
)

select timestamp(date) as metric_timestamp, concat(place, '_', metric) as metric_name, metric_value
from readings
unpivot (metric_value for metric in (temperature, wind, rain))
