package configs

import (
	"errors"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/signalbox/signalbox"
)

// Dialect is a kind of database.
type Dialect string

// The kinds of databases.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// Database says where notifications are kept. Printing it hides the password.
type Database struct {
	dialect Dialect
	// path is of a SQLite file.
	path string
	// url is of a PostgreSQL database.
	url signalbox.Secret
}

// SQLiteIn returns the default database: the file signalbox.db in a directory.
func SQLiteIn(dir string) Database { return SQLiteFile(filepath.Join(dir, "signalbox.db")) }

// SQLiteFile returns the SQLite database in a file.
func SQLiteFile(path string) Database { return Database{dialect: SQLite, path: path} }

// The errors of [ParseDatabase]. None of them may hold the text: it can have a
// password anywhere, in a malformed one too.
var (
	errDatabaseForm = errors.New("must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, or sqlite:PATH")
	errDatabaseURL  = errors.New(`is not a valid postgres:// URL: special characters in user and password must be percent-encoded ("@" is %40, "/" is %2F, "%" is %25)`)
	errDatabaseName = errors.New("names no database: postgres://HOST:PORT/DATABASE")
	errSQLitePath   = errors.New("names no file: sqlite:PATH")
	errSQLiteMemory = errors.New("must be a file: a SQLite database in memory would lose what was accepted")
)

// ParseDatabase reads the value of the key "database". Errors never hold it.
func ParseDatabase(s string) (Database, error) {
	if path, ok := strings.CutPrefix(s, "sqlite:"); ok {
		switch {
		case strings.TrimSpace(path) == "" || path == "//":
			return Database{}, errSQLitePath
		case strings.Contains(path, ":memory:") || strings.Contains(path, "mode=memory"):
			return Database{}, errSQLiteMemory
		}
		return SQLiteFile(path), nil
	}
	if !strings.HasPrefix(s, "postgres://") && !strings.HasPrefix(s, "postgresql://") {
		return Database{}, errDatabaseForm
	}
	u, err := url.Parse(s)
	if err != nil {
		return Database{}, errDatabaseURL
	}
	if strings.Trim(u.Path, "/") == "" && !u.Query().Has("dbname") && !u.Query().Has("service") {
		return Database{}, errDatabaseName
	}
	return Database{dialect: Postgres, url: signalbox.NewSecret(s)}, nil
}

// Dialect returns the kind of database; the zero value has none.
func (d Database) Dialect() Dialect { return d.dialect }

// Path returns the path of a SQLite file, and "" for PostgreSQL.
func (d Database) Path() string { return d.path }

// URL returns what to connect to, as "database" takes it: a postgres URL with
// its password, or sqlite:PATH. It must not be printed.
func (d Database) URL() string {
	switch d.dialect {
	case Postgres:
		return d.url.Reveal()
	case SQLite:
		return "sqlite:" + d.path
	}
	return ""
}

// String returns what to connect to, without passwords.
func (d Database) String() string {
	if d.dialect != Postgres {
		return d.URL()
	}
	u, err := url.Parse(d.url.Reveal())
	if err != nil {
		return string(Postgres) + "://" + redacted
	}
	query := u.Query()
	for _, key := range []string{"password", "sslpassword"} {
		if query.Has(key) {
			query.Set(key, "xxxxx")
			u.RawQuery = query.Encode()
		}
	}
	return u.Redacted()
}

// GoString hides passwords from %#v.
func (d Database) GoString() string { return `configs.Database("` + d.String() + `")` }

// LogValue hides passwords from slog.
func (d Database) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText hides passwords from encoders.
func (d Database) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
