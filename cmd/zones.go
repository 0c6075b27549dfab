package cmd

import (
	// The time zones of users' schedules, for machines and containers without the
	// database.
	_ "time/tzdata"
)
