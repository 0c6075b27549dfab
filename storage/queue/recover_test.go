package queue_test

import (
	"testing"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
)

func TestRecoverGivesBackWhatWasLeased(t *testing.T) {
	db := storagetest.Open(t, storagetest.SQLiteURL(t))
	q, err := queue.New(db, queue.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Publish(t.Context(),
		signalbox.Message{Topic: "a", ID: "leased", Payload: []byte("x")},
		signalbox.Message{Topic: "a", ID: "later", Payload: []byte("x"), Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	// What a killed process leaves behind.
	if _, err := db.Writer.Exec(`UPDATE queue_messages SET leases = 1, visible_at = visible_at + 60000000 WHERE uuid = 'leased'`); err != nil {
		t.Fatal(err)
	}
	if err := q.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	depths, err := q.Depth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(depths) != 1 || depths[0].Ready != 1 || depths[0].Scheduled != 1 {
		t.Errorf("depth %+v, want one ready and one scheduled", depths)
	}
}
