package storage_test

import (
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// TestLateSettlement: two instances have a message one after the other, because the
// first stalled for longer than its lease. The second one says what becomes of it:
// no record may wait for a message that is gone.
func TestLateSettlement(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		var (
			stores   [2]*storage.Store
			messages [2]<-chan *message.Message
		)
		for i := range stores {
			db := storagetest.Open(t, url)
			q, err := queue.New(db, queue.Config{Lease: 200 * time.Millisecond, Poll: 20 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			stores[i] = open(t, db, q, time.Now)
			subscriber := q.Subscriber()
			t.Cleanup(func() {
				if err := subscriber.Close(); err != nil {
					t.Error(err)
				}
			})
			if messages[i], err = subscriber.Subscribe(t.Context(), "deliveries.Pager"); err != nil {
				t.Fatal(err)
			}
		}
		notification := madeFor(1, "user:default/jane")
		record := signalbox.DeliveryRecord{
			DeliveryKey:    signalbox.DeliveryKey{RequestID: notification.RequestID, Audience: "user:default/jane", Channel: "Pager"},
			NotificationID: notification.ID, Status: signalbox.DeliveryQueued, Created: notification.Created, Updated: notification.Created,
		}
		if _, err := stores[0].Commit(t.Context(), signalbox.Commit{Deliveries: func([]signalbox.Outcome) ([]signalbox.NewDelivery, error) {
			return []signalbox.NewDelivery{{
				DeliveryRecord: record,
				Message:        &signalbox.Message{Topic: "deliveries.Pager", ID: "1", Payload: []byte("x")},
			}}, nil
		}}); err != nil {
			t.Fatal(err)
		}
		// Whoever gets it does not answer in time; it comes again.
		var leases []signalbox.Lease
		for range 2 {
			var m *message.Message
			select {
			case m = <-messages[0]:
			case m = <-messages[1]:
			case <-time.After(10 * time.Second):
				t.Fatal("nothing came")
			}
			leases = append(leases, signalbox.Lease{Position: queue.Position(m), Count: queue.Leases(m)})
		}
		if leases[0].Position != leases[1].Position || leases[1].Count != 2 {
			t.Fatalf("leases %v", leases)
		}
		taken, late := record, record
		taken.Status = signalbox.DeliverySuppressed
		late.Attempts, late.Next = 1, notification.Created.Add(time.Minute)
		for i, settlement := range []signalbox.Settlement{
			{Record: taken, Lease: leases[1]},
			{Record: late, Lease: leases[0], Postponed: &signalbox.Postponement{Payload: []byte("again"), Delay: time.Hour}},
		} {
			if err := stores[i].Settle(t.Context(), []signalbox.Settlement{settlement}); err != nil {
				t.Fatal(err)
			}
		}
		got, _, err := stores[0].Delivery(t.Context(), record.DeliveryKey)
		if err != nil || got.Status != signalbox.DeliverySuppressed {
			t.Errorf("the record says %q, and there is no message: %v", got.Status, err)
		}
	})
}
