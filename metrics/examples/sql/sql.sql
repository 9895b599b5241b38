-- One row a metric and time, in the dialect of the database that it runs on (here DuckDB).
with tables as (
    select count(*) as tables, coalesce(sum(estimated_size), 0) as estimated_rows
    from duckdb_tables()
    where not internal and not temporary
)

select current_timestamp as metric_timestamp, 'warehouse_tables' as metric_name, tables::double as metric_value
from tables
union all
select current_timestamp, 'warehouse_rows', estimated_rows::double
from tables
