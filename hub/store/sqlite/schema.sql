-- The hub's store. Tables are singular and hold integers; views are plural and made to be read.
-- Times are integer µs since 1970 UTC. Epochs and chains are 64-bit values stored as signed integers.

CREATE TABLE device (
  ref  INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
);

-- One boot of a device, with what its anchors say. base is the UTC of boot time 0 that rows are written with.
CREATE TABLE boot (
  ref         INTEGER PRIMARY KEY,
  device      INTEGER NOT NULL,
  boot        TEXT NOT NULL,
  base        INTEGER NOT NULL,
  t_error     INTEGER NOT NULL,
  placed      INTEGER NOT NULL, -- 0: nothing is known of it, base is 0
  last        INTEGER NOT NULL, -- greatest boot time seen in an anchor, ns
  best_time   INTEGER, best_utc  INTEGER, best_error  INTEGER, best_source TEXT,  -- ns
  guess_time  INTEGER, guess_utc INTEGER, guess_error INTEGER,                    -- ns
  UNIQUE (device, boot)
);

-- The position of one (device, stream, epoch); never removed.
-- next − first = rows + skipped + gapped, and of the rows `removed` went by retention.
CREATE TABLE epoch (
  ref         INTEGER PRIMARY KEY,
  device      INTEGER NOT NULL,
  stream      TEXT NOT NULL,
  epoch       INTEGER NOT NULL,
  parent      INTEGER NOT NULL, -- 0: a root
  parent_end  INTEGER NOT NULL,
  first       INTEGER NOT NULL,
  next        INTEGER NOT NULL,
  chain_next  INTEGER NOT NULL,
  ends        INTEGER NOT NULL, -- where a child says that this epoch ends; 0 while none is known
  quarantined INTEGER NOT NULL,
  rows        INTEGER NOT NULL,
  removed     INTEGER NOT NULL,
  skipped     INTEGER NOT NULL,
  gapped      INTEGER NOT NULL,
  boot        INTEGER,          -- NULL until its boot mark came
  first_id    INTEGER NOT NULL, -- no row of this epoch has a smaller id
  arrived     INTEGER NOT NULL, -- when the hub last took something of it
  last_t      INTEGER NOT NULL, -- time of the last row then, 0 while none
  marks       BLOB NOT NULL,    -- where frames have ended, and the chain there
  UNIQUE (device, stream, epoch)
);
CREATE INDEX epoch_boot ON epoch (boot);

CREATE TABLE series_item (
  ref    INTEGER PRIMARY KEY,
  device INTEGER NOT NULL,
  key    TEXT NOT NULL, -- name{label="value",…}
  name   TEXT NOT NULL,
  labels TEXT NOT NULL, -- a JSON object
  unit   TEXT NOT NULL,
  type   INTEGER NOT NULL,
  UNIQUE (device, key, unit, type)
);

CREATE TABLE definition (
  epoch  INTEGER NOT NULL,
  id     INTEGER NOT NULL,
  series INTEGER NOT NULL,
  PRIMARY KEY (epoch, id)
) WITHOUT ROWID;

-- What most rows share: kind, quality, type, clock. scale divides a decimal.
CREATE TABLE form (
  ref     INTEGER PRIMARY KEY,
  kind    INTEGER NOT NULL,
  quality INTEGER NOT NULL,
  type    INTEGER NOT NULL,
  clock   INTEGER NOT NULL,
  kind_name TEXT NOT NULL, quality_name TEXT NOT NULL, type_name TEXT NOT NULL,
  scale   REAL,
  UNIQUE (kind, quality, type, clock)
);

-- Rows in the order of their arrival. ids are never used twice.
CREATE TABLE record (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  t             INTEGER NOT NULL,
  epoch         INTEGER NOT NULL,
  record_offset INTEGER NOT NULL,
  series        INTEGER NOT NULL, -- 0: a mark
  form          INTEGER NOT NULL,
  value,                          -- of a decimal: the integer before form.scale
  detail        BLOB
);
CREATE INDEX record_t ON record (t);

-- A better clock anchor came: rows of epoch with done < id ≤ upto, stamped in boot time, are off by shift.
CREATE TABLE correction (
  ref   INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL,
  done  INTEGER NOT NULL,
  upto  INTEGER NOT NULL,
  shift INTEGER NOT NULL
);
CREATE INDEX correction_epoch ON correction (epoch);

CREATE TABLE gap (
  epoch      INTEGER NOT NULL,
  first      INTEGER NOT NULL,
  next       INTEGER NOT NULL,
  reason     INTEGER NOT NULL,
  chain_from INTEGER NOT NULL,
  chain_to   INTEGER NOT NULL,
  t_min      INTEGER NOT NULL,
  t_max      INTEGER NOT NULL,
  PRIMARY KEY (epoch, first)
) WITHOUT ROWID;
CREATE TABLE gap_reason (reason INTEGER PRIMARY KEY, name TEXT NOT NULL);

CREATE TABLE skip (
  epoch  INTEGER NOT NULL,
  first  INTEGER NOT NULL,
  next   INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (epoch, first)
) WITHOUT ROWID;

-- Ranges that filled a recorded gap: out of the order of arrival.
CREATE TABLE late (
  epoch INTEGER NOT NULL,
  first INTEGER NOT NULL,
  next  INTEGER NOT NULL,
  PRIMARY KEY (epoch, first)
) WITHOUT ROWID;

CREATE TABLE dead_letter (
  ref           INTEGER PRIMARY KEY,
  epoch         INTEGER NOT NULL,
  record_offset INTEGER NOT NULL,
  reason        TEXT NOT NULL,
  arrived       INTEGER NOT NULL,
  canonical     BLOB NOT NULL
);

CREATE TABLE producer (
  device      INTEGER NOT NULL,
  name        TEXT NOT NULL,
  incarnation INTEGER NOT NULL,
  sequence    INTEGER NOT NULL, -- the highest of those taken
  taken       BLOB NOT NULL,    -- all of them, as ranges
  moved       INTEGER NOT NULL, -- when the hub last took a message of it
  PRIMARY KEY (device, name, incarnation)
) WITHOUT ROWID;

CREATE TABLE last_value (
  series        INTEGER PRIMARY KEY,
  epoch         INTEGER NOT NULL,
  record_offset INTEGER NOT NULL,
  t             INTEGER NOT NULL,
  form          INTEGER NOT NULL,
  value
);

CREATE VIEW marks (device, stream, epoch, record_offset, t, kind, value) AS
SELECT d.name, e.stream, printf('%016x', e.epoch), r.record_offset,
       r.t + CASE WHEN f.clock = 1 THEN (SELECT ifnull(sum(c.shift), 0) FROM correction c
                                          WHERE c.epoch = r.epoch AND c.done < r.id AND r.id <= c.upto) ELSE 0 END,
       f.kind_name, r.value
  FROM record r CROSS JOIN form f CROSS JOIN epoch e CROSS JOIN device d
 WHERE f.ref = r.form AND f.kind <> 1 AND e.ref = r.epoch AND d.ref = e.device;

CREATE VIEW latest (device, series, labels, unit, t, t_error, time, value, quality) AS
SELECT d.name, s.name, s.labels, s.unit, l.t, CASE WHEN f.clock <> 1 THEN 0 ELSE ifnull(b.t_error, 315360000000000) END,
       strftime('%Y-%m-%dT%H:%M:%S', l.t / 1000000, 'unixepoch') || printf('.%06dZ', l.t % 1000000),
       CASE WHEN f.scale IS NULL THEN l.value ELSE l.value / f.scale END, f.quality_name
  FROM last_value l CROSS JOIN series_item s CROSS JOIN form f CROSS JOIN epoch e CROSS JOIN device d
       LEFT JOIN boot b ON b.ref = e.boot
 WHERE s.ref = l.series AND f.ref = l.form AND e.ref = l.epoch AND d.ref = s.device;

CREATE VIEW positions (device, stream, epoch, parent, first, next, ends, rows, removed, skipped, gaps, quarantined, balanced) AS
SELECT d.name, e.stream, printf('%016x', e.epoch), CASE e.parent WHEN 0 THEN '' ELSE printf('%016x', e.parent) END,
       e.first, e.next, e.ends, e.rows - e.removed, e.removed, e.skipped, e.gapped, e.quarantined,
       e.next - e.first = e.rows + e.skipped + e.gapped
  FROM epoch e JOIN device d ON d.ref = e.device;

CREATE VIEW series (device, series, labels, unit, type) AS
SELECT d.name, s.name, s.labels, s.unit, s.type FROM series_item s JOIN device d ON d.ref = s.device;

CREATE VIEW producers (device, name, incarnation, sequence, moved) AS
SELECT d.name, p.name, printf('%016x', p.incarnation), p.sequence, p.moved FROM producer p JOIN device d ON d.ref = p.device;

CREATE VIEW gaps (device, stream, epoch, first, next, reason, t_min, t_max) AS
SELECT d.name, e.stream, printf('%016x', e.epoch), g.first, g.next, ifnull(n.name, g.reason), g.t_min, g.t_max
  FROM gap g JOIN epoch e ON e.ref = g.epoch JOIN device d ON d.ref = e.device LEFT JOIN gap_reason n ON n.reason = g.reason;

CREATE VIEW skips (device, stream, epoch, first, next, reason) AS
SELECT d.name, e.stream, printf('%016x', e.epoch), k.first, k.next, k.reason
  FROM skip k JOIN epoch e ON e.ref = k.epoch JOIN device d ON d.ref = e.device;

CREATE VIEW dead_letters (device, stream, epoch, record_offset, reason, arrived, canonical) AS
SELECT d.name, e.stream, printf('%016x', e.epoch), l.record_offset, l.reason, l.arrived, l.canonical
  FROM dead_letter l JOIN epoch e ON e.ref = l.epoch JOIN device d ON d.ref = e.device;
