package signalbox

import (
	"encoding/json"
	"slices"
	"time"
)

// SendRequest is what a sender asked for: who is to get what. The router adds
// ID, Origin and Created on acceptance; senders cannot set them.
type SendRequest struct {
	// ID is a UUIDv7, given on acceptance. Every identifier downstream derives
	// from it, so that processing a request twice makes nothing twice.
	ID string `json:"id"`
	// Origin is the subject of the sender's credentials, verbatim.
	Origin string `json:"origin"`
	// Created is when the request was accepted, UTC.
	Created time.Time `json:"created"`

	Recipients Recipients `json:"recipients"`
	Payload    Payload    `json:"payload"`
}

// RecipientsType says how recipients are named.
type RecipientsType string

// The ways to name recipients.
const (
	// RecipientsEntity names entities of the catalog.
	RecipientsEntity RecipientsType = "entity"
	// RecipientsBroadcast is everyone, now and later.
	RecipientsBroadcast RecipientsType = "broadcast"
)

// Recipients names who is to get a notification.
type Recipients struct {
	Type RecipientsType `json:"type"`
	// EntityRefs are canonical entity references; only with RecipientsEntity.
	// On the wire it is one string or an array ("entityRef").
	EntityRefs []string `json:"entityRef,omitempty"`
	// Targets are addresses of channels, which share the field "entityRef" on the
	// wire: "email:ops@example.com".
	Targets []DirectTarget `json:"targets,omitempty"`
	// ExcludeEntityRefs are taken out: references on the way and users at the
	// end ("excludeEntityRef").
	ExcludeEntityRefs []string `json:"excludeEntityRef,omitempty"`
}

// Payload is the content of a notification. Empty strings mean absent.
type Payload struct {
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Link        string   `json:"link,omitempty"`
	Severity    Severity `json:"severity,omitempty"`
	// Topic groups notifications of one kind within an origin.
	Topic string `json:"topic,omitempty"`
	// Scope identifies a thing within an origin: a re-send with the same
	// (user, origin, scope) updates the notification instead of adding one.
	Scope           string           `json:"scope,omitempty"`
	Icon            string           `json:"icon,omitempty"`
	AdditionalLinks []AdditionalLink `json:"additionalLinks,omitempty"`
	// Metadata is a JSON object, stored and returned as it came.
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// AdditionalLink is a further link of a notification. A sender may also give a
// plain string, which is the URL without a title.
type AdditionalLink struct {
	Title string `json:"title,omitempty"`
	URL   string `json:"url"`
}

// Receipt answers an accepted send request.
type Receipt struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	// Warnings name what was tolerated but not understood, such as unknown
	// fields.
	Warnings []string `json:"warnings,omitempty"`
}

// StatusAccepted is the status of a receipt: the request is stored durably and
// will be processed.
const StatusAccepted = "accepted"

// Clone returns a copy that shares nothing with r.
func (r SendRequest) Clone() SendRequest {
	r.Recipients.EntityRefs = slices.Clone(r.Recipients.EntityRefs)
	r.Recipients.Targets = slices.Clone(r.Recipients.Targets)
	r.Recipients.ExcludeEntityRefs = slices.Clone(r.Recipients.ExcludeEntityRefs)
	r.Payload = r.Payload.Clone()
	return r
}

// Size is about how many bytes the payload takes in a row or message.
func (p *Payload) Size() int {
	size := 512 + len(p.Title) + 2*len(p.Description) + len(p.Link) + len(p.Topic) + len(p.Scope) + len(p.Icon) + len(p.Metadata)
	for _, link := range p.AdditionalLinks {
		size += len(link.Title) + len(link.URL)
	}
	return size
}

// Clone returns a copy that shares nothing with p.
func (p Payload) Clone() Payload {
	p.AdditionalLinks = slices.Clone(p.AdditionalLinks)
	p.Metadata = slices.Clone(p.Metadata)
	return p
}
