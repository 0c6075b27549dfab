// Package backstage is a directory source that asks a Backstage catalog over
// HTTP. It batches what is asked at the same time, keeps answers for a while, and
// goes on with them while the catalog is away. It imports the root package and
// its parent.
package backstage
