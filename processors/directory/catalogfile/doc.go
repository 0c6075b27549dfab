// Package catalogfile is a directory source that reads Backstage's entity YAML
// from local files: users, groups, and whatever they own. It derives the
// relations between entities as Backstage's catalog does, and follows changes of
// the files while it runs. It imports the root package, its parent and a YAML
// parser.
package catalogfile
