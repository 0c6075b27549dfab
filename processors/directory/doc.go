// Package directory owns how entity references become users: one walk over the
// graph of groups, members and owners, shared by all sources of a directory. A
// source only has to look records up; each is a package of its own below this
// one: catalogfile, backstage. It imports the root package only.
package directory
