package signalbox

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic of foreign code (a processor, a channel, a directory) as an
// error. Its text is stored and shown to senders, so it tells nothing of the stack,
// which is for the log.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns what the code panicked with.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Guard calls fn and returns its error, or its panic as a [PanicError].
func Guard(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: debug.Stack()}
		}
	}()
	return fn()
}
