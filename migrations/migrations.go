// Package migrations holds the numbered SQL migrations, one folder per dialect.
// Both folders have the same numbers and lead to the same tables and columns; a
// test in storage compares them. It imports nothing of this project.
package migrations

import "embed"

// FS holds postgres/*.sql and sqlite/*.sql, in goose's format.
//
//go:embed postgres/*.sql sqlite/*.sql
var FS embed.FS
