// Package configs owns the configuration: what can be configured ([Config]),
// where it is read from ([Load]), and what is a valid one ([Config.Validate]).
//
// # Sources
//
// Later sources win, key by key: the defaults, YAML files in order, SIGNALBOX_*
// environment variables, and overrides, which cmd fills from flags. A list is
// replaced as a whole, and a key that is null in a later file has its default
// again.
//
// A file is read strictly: an unknown key is an error that names the file, line
// and column and what was probably meant. All problems are reported at once. Any
// scalar may refer to environment variables, as ${NAME} or ${NAME:-default};
// $${NAME} stands for the text ${NAME}.
//
// A Backstage app-config.yaml can be given as it is. The keys that Signalbox
// shares with Backstage are read from it, and what is Backstage's own is passed
// over: the sections named in backstage.go, and unknown keys inside those that
// Backstage and its plugins fill with keys of their own, such as app and backend.
//
// # Secrets
//
// No error, warning or log line holds the value of a secret key, or any value
// that came from the environment. Secrets are held as [signalbox.Secret], which
// redacts itself, and tokens as [TokenHash], which cannot be turned back.
//
// # Imports
//
// It imports the root package, a YAML parser and a library for similar words; cmd hands its values to the
// adapters, which know nothing of it.
package configs
