-- The view for people. arrival rises in the order in which the hub took the rows.
-- CROSS JOIN keeps rows outermost: a filter or an order on t uses its index, and no query builds an index of its own.
CREATE VIEW readings (device, stream, epoch, record_offset, t, t_error, time, series, labels, unit, value, quality, arrival) AS
SELECT d.name, e.stream, printf('%016x', e.epoch), r.record_offset, r.t,
       CASE WHEN f.clock <> 1 THEN 0 ELSE ifnull((SELECT b.t_error FROM boot b WHERE b.ref = e.boot), 315360000000000) END,
       strftime('%Y-%m-%dT%H:%M:%S', (r.t) / 1000000, 'unixepoch') || printf('.%06dZ', (r.t) % 1000000),
       s.name, s.labels, s.unit, CASE WHEN f.scale IS NULL THEN r.value ELSE r.value / f.scale END, f.quality_name, r.id
  FROM record r CROSS JOIN form f CROSS JOIN epoch e CROSS JOIN device d CROSS JOIN series_item s
 WHERE f.ref = r.form AND f.kind = 1 AND e.ref = r.epoch AND d.ref = e.device AND s.ref = r.series;
