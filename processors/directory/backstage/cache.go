package backstage

import (
	"container/list"
	"sync"
	"time"

	"github.com/signalbox/signalbox/processors/directory"
)

// cache keeps records, and that there is none, up to a total size. What was not
// used for longest goes first.
type cache struct {
	limit int

	mu    sync.Mutex
	size  int
	items map[string]*list.Element
	order *list.List // of *cached, most recently used first
}

type cached struct {
	ref string
	// record is nil if the catalog does not have the entity.
	record *directory.Record
	at     time.Time
	size   int
}

func newCache(limit int) *cache {
	return &cache{limit: limit, items: make(map[string]*list.Element), order: list.New()}
}

// get returns what is kept of a reference, and how old it is.
func (c *cache) get(ref string, now time.Time) (record *directory.Record, age time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.items[ref]
	if !ok {
		return nil, 0, false
	}
	c.order.MoveToFront(element)
	item := element.Value.(*cached) //nolint:forcetypeassert // the list holds nothing else
	return item.record, now.Sub(item.at), true
}

// put keeps a record, or with nil that there is none. One that is larger than
// the whole cache is not kept.
func (c *cache) put(ref string, record *directory.Record, now time.Time) {
	size := 1
	if record != nil {
		size = record.Size()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.items[ref]; ok {
		c.remove(element)
	}
	if size > c.limit {
		return
	}
	c.items[ref] = c.order.PushFront(&cached{ref: ref, record: record, at: now, size: size})
	c.size += size
	for c.size > c.limit {
		c.remove(c.order.Back())
	}
}

func (c *cache) remove(element *list.Element) {
	item := c.order.Remove(element).(*cached) //nolint:forcetypeassert // the list holds nothing else
	delete(c.items, item.ref)
	c.size -= item.size
}
