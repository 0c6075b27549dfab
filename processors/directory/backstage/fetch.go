package backstage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/processors/directory"
)

// The relations of Backstage's catalog that the directory follows.
const (
	hasMember = "hasMember"
	memberOf  = "memberOf"
	parentOf  = "parentOf"
	childOf   = "childOf"
	ownedBy   = "ownedBy"
	ownerOf   = "ownerOf"
)

// fetch asks for refs and puts what it learns into the cache. It ends with the client
// and not with a caller, since the answer serves whoever asks.
func (c *Client) fetch(refs []string) (map[string]*directory.Record, error) {
	records := make(map[string]*directory.Record, len(refs))
	err := c.byRefs(refs, records)
	now := c.now()
	for ref, record := range records {
		c.cache.put(ref, record, now)
	}
	c.tell(err)
	return records, err
}

// tell logs when the catalog goes and comes back, not every request that fails.
func (c *Client) tell(err error) {
	switch {
	case c.life.Err() != nil:
	case err != nil && !c.away.Swap(true):
		c.log.Warn("the Backstage catalog does not answer: what needs it waits", slog.Any("error", err))
	case err == nil && c.away.Swap(false):
		c.log.Info("the Backstage catalog answers again")
	}
}

// byRefs fills records. What is too large for one answer is asked for in halves,
// and in the end in pages.
func (c *Client) byRefs(refs []string, records map[string]*directory.Record) error {
	entities, err := c.entities(refs, true)
	if errors.Is(err, errTooLarge) {
		if len(refs) == 1 {
			records[refs[0]], err = c.paged(refs[0])
			if err != nil {
				delete(records, refs[0])
			}
			return err
		}
		half := len(refs) / 2
		return errors.Join(c.byRefs(refs[:half], records), c.byRefs(refs[half:], records))
	}
	if err != nil {
		return err
	}
	for i, ref := range refs {
		records[ref] = entities[i].record(ref)
	}
	return nil
}

// entities asks by-refs. The answer has one entry per reference, nil for what the
// catalog does not have.
func (c *Client) entities(refs []string, relations bool) ([]*wireEntity, error) {
	fields := []string{"kind", "metadata.name", "metadata.namespace", "metadata.title", "metadata.annotations", "spec.profile"}
	if relations {
		fields = append(fields, "relations")
	}
	body, err := json.Marshal(struct {
		EntityRefs []string `json:"entityRefs"`
		Fields     []string `json:"fields"`
	}{refs, fields})
	if err != nil {
		return nil, fmt.Errorf("backstage catalog: %w", err)
	}
	var entities []*wireEntity
	err = c.call(c.life, http.MethodPost, "/entities/by-refs", body, func(d *json.Decoder) error {
		entities = make([]*wireEntity, 0, len(refs))
		_, err := decodeAnswer(d, func(d *json.Decoder) error {
			var e *wireEntity
			if err := d.Decode(&e); err != nil {
				return err
			}
			entities = append(entities, e)
			return nil
		})
		if err == nil && len(entities) != len(refs) {
			err = fmt.Errorf("the answer has %d items for %d references", len(entities), len(refs))
		}
		return err
	})
	return entities, err
}

// paged puts a record together from pages of those on the other side of its
// relations, for an entity whose relations do not fit into one answer.
func (c *Client) paged(ref string) (*directory.Record, error) {
	entities, err := c.entities([]string{ref}, false)
	if err != nil || entities[0] == nil {
		return nil, err
	}
	record := entities[0].record(ref)
	parsed, err := signalbox.ParseEntityRef(ref)
	if err != nil {
		return nil, fmt.Errorf("backstage catalog: %w", err)
	}
	type part struct {
		relation string
		into     *[]string
	}
	var owners []string
	parts := []part{{ownerOf, &owners}}
	switch parsed.Kind {
	case "group":
		parts = []part{{memberOf, &record.Members}, {childOf, &record.Children}, {parentOf, &record.Parents}}
	case "user":
		parts = []part{{hasMember, &record.Groups}}
	}
	for _, p := range parts {
		if *p.into, err = c.related(p.relation, ref); err != nil {
			return nil, err
		}
	}
	if len(owners) > 0 {
		record.Owner = owners[0]
	}
	return record, nil
}

// maxPages ends a query whose cursors do not.
const maxPages = 10_000

// related asks by-query for all entities with a relation to ref.
func (c *Client) related(relation, ref string) ([]string, error) {
	var (
		all    []string
		cursor string
	)
	for range maxPages {
		page, next, err := c.page(c.life, "relations."+relation+"="+ref, cursor, c.config.PageSize)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); next == "" {
			return all, nil
		}
		cursor = next
	}
	return nil, fmt.Errorf("backstage catalog: the query for %s of %s has no end", relation, ref)
}

// page asks by-query for a page of the references of all entities that match a
// filter. A cursor has the filter.
func (c *Client) page(ctx context.Context, filter, cursor string, limit int) (refs []string, next string, err error) {
	query := url.Values{"fields": {"kind,metadata.name,metadata.namespace"}, "limit": {strconv.Itoa(limit)}}
	if cursor == "" {
		query.Set("filter", filter)
	} else {
		query.Set("cursor", cursor)
	}
	err = c.call(ctx, http.MethodGet, "/entities/by-query?"+query.Encode(), nil, func(d *json.Decoder) (err error) {
		refs = refs[:0]
		next, err = decodeAnswer(d, func(d *json.Decoder) error {
			var e wireEntity
			if err := d.Decode(&e); err != nil {
				return err
			}
			if found, ok := e.ref(); ok {
				refs = append(refs, found)
			}
			return nil
		})
		return err
	})
	return refs, next, err
}

// Users implements [directory.Lister].
func (c *Client) Users(ctx context.Context, after string, limit int) (refs []string, next string, err error) {
	// Nobody else waits for this answer.
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	refs, next, err = c.page(asking, "kind=user", after, min(limit, c.config.PageSize))
	if ctx.Err() == nil { // who gave up has not learned whether the catalog is away
		c.tell(err)
	}
	return refs, next, err
}

// wireEntity is an entity as the catalog sends it.
type wireEntity struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Title       string            `json:"title"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		// Profile is only that of users and groups; other kinds may have anything.
		Profile json.RawMessage `json:"profile"`
	} `json:"spec"`
	Relations []struct {
		Type      string `json:"type"`
		TargetRef string `json:"targetRef"`
	} `json:"relations"`
}

// ref is the canonical reference of the entity.
func (e *wireEntity) ref() (string, bool) {
	namespace := e.Metadata.Namespace
	if namespace == "" {
		namespace = signalbox.DefaultNamespace
	}
	ref, err := signalbox.NormalizeEntityRef(e.Kind + ":" + namespace + "/" + e.Metadata.Name)
	return ref, err == nil
}

// record is the entity as the directory wants it; nil of nil.
func (e *wireEntity) record(ref string) *directory.Record {
	if e == nil {
		return nil
	}
	record := &directory.Record{Entity: signalbox.Entity{
		Ref: ref, Title: e.Metadata.Title, Annotations: e.Metadata.Annotations,
	}}
	if record.Title == "" {
		record.Title = e.Metadata.Name
	}
	var profile struct {
		DisplayName string `json:"displayName"`
		Email       string `json:"email"`
	}
	if json.Unmarshal(e.Spec.Profile, &profile) == nil {
		record.Email = profile.Email
		if profile.DisplayName != "" {
			record.Title = profile.DisplayName
		}
	}
	for _, relation := range e.Relations {
		target, err := signalbox.NormalizeEntityRef(relation.TargetRef)
		if err != nil {
			continue // it leads nowhere
		}
		switch relation.Type {
		case hasMember:
			record.Members = append(record.Members, target)
		case parentOf:
			record.Children = append(record.Children, target)
		case childOf:
			record.Parents = append(record.Parents, target)
		case memberOf:
			record.Groups = append(record.Groups, target)
		case ownedBy:
			if record.Owner == "" {
				record.Owner = target
			}
		}
	}
	return record
}
