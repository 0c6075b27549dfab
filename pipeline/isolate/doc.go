// Package isolate calls foreign code so that its panics and hangs stay with what is
// in work, and bounds how many goroutines those that hang can keep. It imports the
// root package only.
package isolate
