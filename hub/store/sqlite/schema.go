package sqlite

import (
	"database/sql/driver"
	_ "embed"
	"errors"
	"fmt"

	"github.com/edgelog/edgelog/buffer/record"
)

// Schema is the version that this program writes, kept in PRAGMA user_version.
const Schema = 2

// applicationID marks the file as ours (PRAGMA application_id): "Edge".
const applicationID = 0x45646765

var (
	//go:embed schema.sql
	schemaSQL string
	//go:embed readings.sql
	readingsSQL string
	//go:embed readings_correcting.sql
	readingsCorrectingSQL string
)

// Errors that say what is wrong with the file. None of them is helped by trying again.
var (
	ErrDamaged = errors.New("the database file is damaged")
	ErrForeign = errors.New("the file is not a hub store of Edgelog")
	ErrNewer   = errors.New("the hub store was written by a newer edge-hub")
)

// migrations lists what brings a file of schema i+1 to schema i+2.
func migrations() []string { return []string{leaseSQL} }

// leaseSQL came with schema 2: the rights that hubs sharing the file hold.
const leaseSQL = `CREATE TABLE lease (name TEXT PRIMARY KEY, owner TEXT NOT NULL, number INTEGER NOT NULL,
  beat INTEGER NOT NULL, ttl_ms INTEGER NOT NULL, note TEXT NOT NULL) WITHOUT ROWID`

// prepareSchema creates or migrates the schema. Only the writing connection calls it.
func prepareSchema(c *conn) error {
	version, fresh, err := schemaState(c)
	if err != nil {
		return err
	}
	if fresh {
		if err := c.script(fmt.Sprintf("PRAGMA page_size=%d; PRAGMA auto_vacuum=INCREMENTAL", pageBytes)); err != nil {
			return err
		}
	}
	err = c.script(fmt.Sprintf("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=%d; "+
		"PRAGMA journal_size_limit=%d", walCheckpointPages, walKeepBytes))
	if err != nil {
		return err
	}
	if version == Schema {
		return nil
	}
	return c.within(beginWrite, func() error {
		// Another process may have done it since; look again under the lock.
		version, fresh, err := schemaState(c)
		if err != nil {
			return err
		}
		if fresh {
			if err := createSchema(c); err != nil {
				return err
			}
		} else {
			for _, m := range migrations()[version-1:] {
				if err := c.script(m); err != nil {
					return fmt.Errorf("migrate hub store from schema %d: %w", version, err)
				}
			}
		}
		return c.script(fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, Schema))
	})
}

func createSchema(c *conn) error {
	if err := c.script(schemaSQL + leaseSQL + ";" + readingsSQL); err != nil {
		return err
	}
	for r := record.ReasonRetention; r <= record.ReasonSeveral; r++ {
		if err := c.exec("INSERT INTO gap_reason VALUES (?, ?)", int64(r), r.String()); err != nil {
			return err
		}
	}
	return nil
}

// schemaState reads the version; fresh means an empty file.
func schemaState(c *conn) (version int64, fresh bool, err error) {
	var app, objects int64
	read := func(sql string, into *int64) {
		if err == nil {
			err = c.query(sql, func(v []driver.Value) error { *into = asInt(v[0]); return nil })
		}
	}
	read("PRAGMA application_id", &app)
	read("PRAGMA user_version", &version)
	read("SELECT count(*) FROM sqlite_master", &objects)
	switch {
	case err != nil:
		return 0, false, err
	case app == 0 && version == 0 && objects == 0:
		return 0, true, nil
	case app != applicationID || version < 1:
		return 0, false, ErrForeign
	case version > Schema:
		return 0, false, fmt.Errorf("%w: it has schema %d, this program knows up to %d; run the newer program",
			ErrNewer, version, Schema)
	}
	return version, false, nil
}
