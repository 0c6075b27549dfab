package pipeline

import "github.com/signalbox/signalbox"

// rows folds the notifications that go to the inbox into the rows to write: of
// several revisions of one scope only the newest is written, because a
// statement may touch a row once. It returns, for each notification, the index
// of its row.
//
// The newest takes over what the row would have from the first if they had been
// written one by one: its identifier and its creation time.
func rows(notifications []signalbox.Notification) (folded []signalbox.Notification, index []int) {
	type scopeKey struct{ user, origin, scope string }
	at := make(map[scopeKey]int)
	folded = make([]signalbox.Notification, 0, len(notifications))
	index = make([]int, len(notifications))
	for i, n := range notifications {
		if n.Payload.Scope != "" {
			key := scopeKey{n.User, n.Origin, n.Payload.Scope}
			if row, known := at[key]; known {
				folded[row] = supersede(folded[row], n)
				index[i] = row
				continue
			}
			at[key] = len(folded)
		}
		index[i] = len(folded)
		folded = append(folded, n)
	}
	return folded, index
}

// supersede returns the newer of two revisions with the identity of the older.
func supersede(a, b signalbox.Notification) signalbox.Notification {
	older, newer := a, b
	if a.Revision > b.Revision {
		older, newer = b, a
	}
	if older.Revision == newer.Revision {
		return newer // the same send request, twice in a message
	}
	revised := newer.Revised()
	newer.ID, newer.Created, newer.Updated = older.ID, older.Created, revised
	return newer
}
