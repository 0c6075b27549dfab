package delivery

import (
	"slices"
	"sync"

	"github.com/signalbox/signalbox"
)

// maxUnrecorded bounds how many successes are remembered.
const maxUnrecorded = 1024

// unrecorded are deliveries that were sent, and whose settlement could not be
// stored: when their messages come back to this process, they are settled without
// another call. The zero value is ready.
type unrecorded struct {
	mu   sync.Mutex
	byID map[string]signalbox.Settlement
	// order has the IDs, the oldest first: it is forgotten when there are too many.
	order []string
}

func (u *unrecorded) get(id string) (signalbox.Settlement, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	settlement, ok := u.byID[id]
	return settlement, ok
}

func (u *unrecorded) put(id string, settlement signalbox.Settlement) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byID == nil {
		u.byID = make(map[string]signalbox.Settlement)
	}
	if _, ok := u.byID[id]; !ok {
		u.order = append(u.order, id)
	}
	u.byID[id] = settlement
	if len(u.order) > maxUnrecorded {
		delete(u.byID, u.order[0])
		u.order = slices.Delete(u.order, 0, 1)
	}
}

func (u *unrecorded) remove(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.byID[id]; ok {
		delete(u.byID, id)
		u.order = slices.DeleteFunc(u.order, func(other string) bool { return other == id })
	}
}
