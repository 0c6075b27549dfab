package signalbox

import "context"

// Entity is what the directory knows of an entity of the catalog, as far as
// routing and channels need it.
type Entity struct {
	// Ref is the canonical reference.
	Ref string
	// Title is the display name: spec.profile.displayName, else metadata.title,
	// else metadata.name.
	Title string
	// Email is spec.profile.email; empty if there is none.
	Email string
	// Annotations are metadata.annotations.
	Annotations map[string]string
}

// AnnotationSlack is the annotation that names the Slack channel or user of an
// entity.
const AnnotationSlack = "slack.com/bot-notify"

// Resolution is what entity references stand for.
type Resolution struct {
	// Users are canonical user references, each once, in the order in which the
	// references led to them.
	Users []string
	// Unknown are the references that the directory does not know: those that were
	// given, and those that others led to.
	Unknown []string
}

// Directory knows users, groups and what is owned by whom. Implementations are
// held to processors/directory/directorytest. They must be safe for concurrent
// use and return soon after ctx is done: whole batches of requests wait for them.
//
// An error means that the directory cannot tell now (unreachable, not loaded
// yet) and is marked [Transient]: the caller tries again later. What is not in
// the directory is no error.
type Directory interface {
	// Resolve expands references: a user is itself; a group is its members and
	// its child groups; anything else is its owner; all of it recursively, safe
	// against cycles. exclude takes out references on the way and users at the
	// end: an excluded group takes out its members and those of its child groups.
	// All references are canonical. References to users alone need no answer of
	// anybody, unless unknown users are to be dropped.
	Resolve(ctx context.Context, refs, exclude []string) (Resolution, error)
	// Entities returns the records of those references that are known, by
	// reference. refs are canonical; there may be thousands.
	Entities(ctx context.Context, refs []string) (map[string]Entity, error)
	// Ownership returns what a user owns things as: itself and the groups that it
	// is a member of, directly or through child groups. For an unknown user it is
	// the user alone.
	Ownership(ctx context.Context, user string) ([]string, error)
}
