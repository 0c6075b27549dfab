// Package processors owns the built-in stages of the pipeline's chain: recipient
// resolution and the settings filter. Custom steps are [signalbox.Processor]
// values, which the pipeline runs itself. It imports the root package only.
package processors
