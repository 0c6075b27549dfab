package cmd

// The time zones of users' schedules, for machines and containers without the
// database.
import _ "time/tzdata"
