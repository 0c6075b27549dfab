package backstage

import "container/list"

// lru keeps a bounded number of values. It is not safe for concurrent use.
type lru[V any] struct {
	limit int
	// spare reports whether a value is to go before any other; nil is none.
	spare func(V) bool
	items map[string]*list.Element
	order *list.List // of *kept[V], most recently used first
}

type kept[V any] struct {
	key   string
	value V
}

func newLRU[V any](limit int, spare func(V) bool) *lru[V] {
	return &lru[V]{limit: limit, spare: spare, items: make(map[string]*list.Element), order: list.New()}
}

func (l *lru[V]) get(key string) (value V, ok bool) {
	element, ok := l.items[key]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(element)
	return entry[V](element).value, true
}

// add keeps a value under a key that is not there yet, and returns the one that
// had to go for it.
func (l *lru[V]) add(key string, value V) (gone V, some bool) {
	if l.order.Len() >= l.limit {
		gone, some = l.evict(), true
	}
	l.items[key] = l.order.PushFront(&kept[V]{key: key, value: value})
	return gone, some
}

// evict takes out the value that was not used for longest, of the spare ones if
// there are any.
func (l *lru[V]) evict() V {
	chosen := l.order.Back()
	for element := chosen; element != nil && l.spare != nil; element = element.Prev() {
		if l.spare(entry[V](element).value) {
			chosen = element
			break
		}
	}
	item := entry[V](chosen)
	l.order.Remove(chosen)
	delete(l.items, item.key)
	return item.value
}

func (l *lru[V]) each(do func(V)) {
	for element := l.order.Front(); element != nil; element = element.Next() {
		do(entry[V](element).value)
	}
}

func entry[V any](element *list.Element) *kept[V] {
	return element.Value.(*kept[V]) //nolint:forcetypeassert // the list holds nothing else
}
