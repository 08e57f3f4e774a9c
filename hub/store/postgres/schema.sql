-- Schema 1 of the hub's store in PostgreSQL. Tables are singular and hold integers; views are plural and made to be
-- read, with the names and columns of the SQLite store. Times are integer µs since 1970 UTC. Epochs and chains are
-- 64-bit values stored as signed integers.

CREATE TABLE meta (name text PRIMARY KEY, value bigint NOT NULL);

-- version rises with every commit that changes something of the device: the compare-and-set of the whole.
CREATE TABLE device (
  ref     int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name    text NOT NULL UNIQUE,
  version bigint NOT NULL,
  arrival bigint NOT NULL -- of its latest commit
) WITH (fillfactor = 50);

CREATE TABLE boot (
  ref    int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device int NOT NULL,
  boot   text NOT NULL,
  base   bigint NOT NULL, -- µs UTC of boot time 0 that rows are written with
  t_error bigint NOT NULL,
  placed boolean NOT NULL,
  last   bigint NOT NULL, -- greatest boot time seen in an anchor, ns
  best_time bigint, best_utc bigint, best_error bigint, best_source text, -- ns
  guess_time bigint, guess_utc bigint, guess_error bigint,                -- ns
  UNIQUE (device, boot)
);

-- The position of one (device, stream, epoch); never removed.
-- next - first = rows + skipped + gapped, and of the rows `removed` went by retention.
CREATE TABLE epoch (
  ref         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device      int NOT NULL,
  stream      text NOT NULL,
  epoch       bigint NOT NULL,
  parent      bigint NOT NULL, -- 0: a root
  parent_end  bigint NOT NULL,
  first       bigint NOT NULL,
  next        bigint NOT NULL,
  chain_next  bigint NOT NULL,
  ends        bigint NOT NULL, -- where a child says that this epoch ends; 0 while none is known
  quarantined boolean NOT NULL,
  rows        bigint NOT NULL,
  removed     bigint NOT NULL,
  late        bigint NOT NULL,
  skipped     bigint NOT NULL,
  gapped      bigint NOT NULL,
  boot        text NOT NULL,   -- '' until its boot mark came
  first_arrival bigint NOT NULL, -- no row of this epoch has a smaller arrival
  arrived     bigint NOT NULL,
  last_t      bigint NOT NULL, -- 0 while none
  marks       bytea NOT NULL,  -- borders of the history with their chains (store.AppendMarks)
  UNIQUE (device, stream, epoch)
) WITH (fillfactor = 50);

CREATE TABLE series_item (
  ref    int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device int NOT NULL,
  key    text NOT NULL, -- name{label="value",...}
  name   text NOT NULL,
  labels jsonb NOT NULL,
  unit   text NOT NULL,
  type   smallint NOT NULL,
  UNIQUE (device, key, unit, type)
);

CREATE TABLE definition (
  epoch  int NOT NULL,
  id     bigint NOT NULL,
  series int NOT NULL,
  body   bytea NOT NULL, -- as frames and segments carry it
  PRIMARY KEY (epoch, id)
);

-- What most rows share: kind, quality, type, clock. scale divides a decimal.
CREATE TABLE form (
  ref     smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind    smallint NOT NULL,
  quality smallint NOT NULL,
  type    smallint NOT NULL,
  clock   smallint NOT NULL,
  kind_name text NOT NULL, quality_name text NOT NULL, type_name text NOT NULL,
  scale   double precision,
  UNIQUE (kind, quality, type, clock)
);

-- Rows. arrival is the hub's time of the commit, µs UTC, made to rise within a device: it orders commits, it is what
-- the table is partitioned by (a day each), and what retention goes by. t need not rise and may be wrong for years.
CREATE TABLE record (
  t             bigint NOT NULL,
  arrival       bigint NOT NULL,
  record_offset bigint NOT NULL,
  epoch         int NOT NULL,
  series        int NOT NULL, -- 0: a mark
  form          smallint NOT NULL,
  num           bigint,           -- int, bool; of a decimal the integer before form.scale
  real          double precision, -- float
  body          bytea,            -- string, json, bytes
  detail        bytea
) @partition@;

-- A better clock anchor came: rows of epoch with done < arrival <= upto, stamped in boot time, are off by shift.
CREATE TABLE correction (
  ref   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  epoch int NOT NULL,
  done  bigint NOT NULL,
  upto  bigint NOT NULL,
  shift bigint NOT NULL
);

CREATE TABLE gap (
  epoch int NOT NULL, first bigint NOT NULL, next bigint NOT NULL, reason smallint NOT NULL,
  chain_from bigint NOT NULL, chain_to bigint NOT NULL, t_min bigint NOT NULL, t_max bigint NOT NULL,
  PRIMARY KEY (epoch, first)
);
CREATE TABLE gap_reason (reason smallint PRIMARY KEY, name text NOT NULL);
CREATE TABLE skip (
  epoch int NOT NULL, first bigint NOT NULL, next bigint NOT NULL, reason text NOT NULL,
  PRIMARY KEY (epoch, first)
);
-- Ranges that filled a recorded gap: out of the order of arrival.
CREATE TABLE late (epoch int NOT NULL, first bigint NOT NULL, next bigint NOT NULL, PRIMARY KEY (epoch, first));
CREATE TABLE dead_letter (
  ref bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  epoch int NOT NULL, record_offset bigint NOT NULL, reason text NOT NULL, arrived bigint NOT NULL, canonical bytea NOT NULL
);
CREATE TABLE producer (
  device int NOT NULL, name text NOT NULL, incarnation bigint NOT NULL,
  taken  bytea NOT NULL,  -- the set of sequence numbers (store.Sequences.Append)
  last   numeric,         -- the highest of them, for people
  moved  bigint NOT NULL, -- rises with every message of the device's producers
  PRIMARY KEY (device, name, incarnation)
);
CREATE TABLE last_value (
  series int PRIMARY KEY, epoch int NOT NULL, record_offset bigint NOT NULL, t bigint NOT NULL, form smallint NOT NULL,
  num bigint, real double precision, body bytea
) WITH (fillfactor = 70);
CREATE TABLE lease (
  name text COLLATE "C" PRIMARY KEY, owner text NOT NULL, number bigint NOT NULL, beat bigint NOT NULL, ttl_ms bigint NOT NULL, note text NOT NULL
) WITH (fillfactor = 50);

CREATE FUNCTION hex_epoch(bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN lpad(to_hex($1), 16, '0');
CREATE FUNCTION micros(bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN timestamptz '1970-01-01 00:00:00Z' + $1 * interval '1 microsecond';
-- Text may hold a NUL, which this engine's text cannot.
CREATE FUNCTION body_text(bytea) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CASE WHEN $1 IS NULL THEN NULL WHEN position('\x00'::bytea IN $1) = 0 THEN convert_from($1, 'UTF8') ELSE encode($1, 'escape') END;

-- The view for people. value is the number, text the value of strings, JSON and bytes. Rows that a time correction
-- has not reached yet come with their shift.
CREATE VIEW readings (device, stream, epoch, record_offset, t, t_error, time, series, labels, unit, value, quality, arrival, text) AS
SELECT d.name, e.stream, hex_epoch(e.epoch), r.record_offset, r.t,
       CASE WHEN f.clock <> 1 THEN 0 ELSE coalesce(b.t_error, 315360000000000) END, micros(r.t),
       s.name, s.labels, s.unit, CASE WHEN f.scale IS NULL THEN coalesce(r.real, r.num::double precision) ELSE r.num / f.scale END,
       f.quality_name, r.arrival, CASE f.type WHEN 7 THEN encode(r.body, 'hex') ELSE body_text(r.body) END
  FROM record r JOIN form f ON f.ref = r.form AND f.kind = 1 JOIN epoch e ON e.ref = r.epoch
  JOIN device d ON d.ref = e.device JOIN series_item s ON s.ref = r.series
  LEFT JOIN boot b ON b.device = e.device AND b.boot = e.boot
 WHERE f.clock <> 1 OR NOT EXISTS (SELECT 1 FROM correction c WHERE c.epoch = r.epoch AND c.done < r.arrival AND r.arrival <= c.upto)
UNION ALL
SELECT d.name, e.stream, hex_epoch(e.epoch), r.record_offset, r.t + x.shift,
       coalesce(b.t_error, 315360000000000), micros(r.t + x.shift),
       s.name, s.labels, s.unit, CASE WHEN f.scale IS NULL THEN coalesce(r.real, r.num::double precision) ELSE r.num / f.scale END,
       f.quality_name, r.arrival, CASE f.type WHEN 7 THEN encode(r.body, 'hex') ELSE body_text(r.body) END
  FROM record r JOIN form f ON f.ref = r.form AND f.kind = 1 AND f.clock = 1
  JOIN LATERAL (SELECT sum(c.shift)::bigint AS shift FROM correction c
                 WHERE c.epoch = r.epoch AND c.done < r.arrival AND r.arrival <= c.upto) x ON x.shift IS NOT NULL
  JOIN epoch e ON e.ref = r.epoch JOIN device d ON d.ref = e.device JOIN series_item s ON s.ref = r.series
  LEFT JOIN boot b ON b.device = e.device AND b.boot = e.boot
 WHERE r.arrival > (SELECT min(done) FROM correction) AND r.arrival <= (SELECT max(upto) FROM correction);

CREATE VIEW marks (device, stream, epoch, record_offset, t, kind, value) AS
SELECT d.name, e.stream, hex_epoch(e.epoch), r.record_offset,
       r.t + CASE WHEN f.clock = 1 THEN (SELECT coalesce(sum(c.shift), 0)::bigint FROM correction c
                                          WHERE c.epoch = r.epoch AND c.done < r.arrival AND r.arrival <= c.upto) ELSE 0 END,
       f.kind_name, body_text(r.body)
  FROM record r JOIN form f ON f.ref = r.form AND f.kind <> 1 JOIN epoch e ON e.ref = r.epoch JOIN device d ON d.ref = e.device;

CREATE VIEW latest (device, series, labels, unit, t, t_error, time, value, quality, text) AS
SELECT d.name, s.name, s.labels, s.unit, l.t, CASE WHEN f.clock <> 1 THEN 0 ELSE coalesce(b.t_error, 315360000000000) END,
       micros(l.t), CASE WHEN f.scale IS NULL THEN coalesce(l.real, l.num::double precision) ELSE l.num / f.scale END,
       f.quality_name, CASE f.type WHEN 7 THEN encode(l.body, 'hex') ELSE body_text(l.body) END
  FROM last_value l JOIN series_item s ON s.ref = l.series JOIN form f ON f.ref = l.form
  JOIN epoch e ON e.ref = l.epoch JOIN device d ON d.ref = s.device LEFT JOIN boot b ON b.device = e.device AND b.boot = e.boot;

CREATE VIEW positions (device, stream, epoch, parent, first, next, ends, rows, removed, skipped, gaps, quarantined, balanced) AS
SELECT d.name, e.stream, hex_epoch(e.epoch), CASE e.parent WHEN 0 THEN '' ELSE hex_epoch(e.parent) END,
       e.first, e.next, e.ends, e.rows - e.removed, e.removed, e.skipped, e.gapped, e.quarantined,
       e.next - e.first = e.rows + e.skipped + e.gapped
  FROM epoch e JOIN device d ON d.ref = e.device;

CREATE VIEW series (device, series, labels, unit, type) AS
SELECT d.name, s.name, s.labels, s.unit, s.type FROM series_item s JOIN device d ON d.ref = s.device;

CREATE VIEW producers (device, name, incarnation, last, moved) AS
SELECT d.name, p.name, hex_epoch(p.incarnation), p.last, p.moved FROM producer p JOIN device d ON d.ref = p.device;

CREATE VIEW gaps (device, stream, epoch, first, next, reason, t_min, t_max) AS
SELECT d.name, e.stream, hex_epoch(e.epoch), g.first, g.next, coalesce(n.name, g.reason::text), g.t_min, g.t_max
  FROM gap g JOIN epoch e ON e.ref = g.epoch JOIN device d ON d.ref = e.device LEFT JOIN gap_reason n ON n.reason = g.reason;

CREATE VIEW skips (device, stream, epoch, first, next, reason) AS
SELECT d.name, e.stream, hex_epoch(e.epoch), k.first, k.next, k.reason
  FROM skip k JOIN epoch e ON e.ref = k.epoch JOIN device d ON d.ref = e.device;

CREATE VIEW dead_letters (device, stream, epoch, record_offset, reason, arrived, canonical) AS
SELECT d.name, e.stream, hex_epoch(e.epoch), l.record_offset, l.reason, l.arrived, l.canonical
  FROM dead_letter l JOIN epoch e ON e.ref = l.epoch JOIN device d ON d.ref = e.device;
