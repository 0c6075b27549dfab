package storage_test

import (
	"testing"
	"time"

	"github.com/signalbox/signalbox/storage/storagetest"
)

func TestSessions(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, _ string) {
		postgres := t.Name() == "TestSessions/postgres"
		storagetest.Sessions(t, func(t *testing.T) (one, other storagetest.SessionStore) {
			url := storagetest.SQLiteURL(t)
			if postgres {
				url = storagetest.PostgresURL(t)
			}
			first, second := storagetest.Open(t, url), storagetest.Open(t, url)
			return open(t, first, &tableQueue{db: first}, time.Now), open(t, second, &tableQueue{db: second}, time.Now)
		})
	})
}
