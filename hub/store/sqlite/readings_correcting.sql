-- The same view while a time correction is under way: rows not yet rewritten get their shift here. It takes the place
-- of the plain one in the transaction that notes the first correction, and leaves in the one that ends the last,
-- because the engine can merge only the plain one into every query.
CREATE VIEW readings (device, stream, epoch, record_offset, t, t_error, time, series, labels, unit, value, quality, arrival) AS
SELECT d.name, e.stream, printf('%016x', e.epoch), r.record_offset, r.t,
       CASE WHEN f.clock <> 1 THEN 0 ELSE ifnull((SELECT b.t_error FROM boot b WHERE b.ref = e.boot), 315360000000000) END,
       strftime('%Y-%m-%dT%H:%M:%S', (r.t) / 1000000, 'unixepoch') || printf('.%06dZ', (r.t) % 1000000),
       s.name, s.labels, s.unit, CASE WHEN f.scale IS NULL THEN r.value ELSE r.value / f.scale END, f.quality_name, r.id
  FROM record r CROSS JOIN form f CROSS JOIN epoch e CROSS JOIN device d CROSS JOIN series_item s
 WHERE f.ref = r.form AND f.kind = 1 AND e.ref = r.epoch AND d.ref = e.device AND s.ref = r.series
   AND (f.clock <> 1 OR NOT EXISTS (SELECT 1 FROM correction c WHERE c.epoch = r.epoch AND c.done < r.id AND r.id <= c.upto))
UNION ALL
SELECT d.name, e.stream, printf('%016x', e.epoch), r.record_offset, r.t + r.shift,
       ifnull((SELECT b.t_error FROM boot b WHERE b.ref = e.boot), 315360000000000),
       strftime('%Y-%m-%dT%H:%M:%S', (r.t + r.shift) / 1000000, 'unixepoch') || printf('.%06dZ', (r.t + r.shift) % 1000000),
       s.name, s.labels, s.unit, CASE WHEN f.scale IS NULL THEN r.value ELSE r.value / f.scale END, f.quality_name, r.id
  FROM (SELECT x.*, (SELECT sum(c.shift) FROM correction c WHERE c.epoch = x.epoch AND c.done < x.id AND x.id <= c.upto) AS shift
          FROM record x
         WHERE x.id > (SELECT min(done) FROM correction) AND x.id <= (SELECT max(upto) FROM correction)) r
       CROSS JOIN form f CROSS JOIN epoch e CROSS JOIN device d CROSS JOIN series_item s
 WHERE f.ref = r.form AND f.kind = 1 AND e.ref = r.epoch AND d.ref = e.device AND s.ref = r.series AND f.clock = 1 AND r.shift IS NOT NULL;
