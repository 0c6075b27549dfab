package signalbox

import (
	"context"
	"time"
)

// DeadLetterFilter chooses dead letters. The zero value chooses all.
type DeadLetterFilter struct {
	// IDs, if there are any, choose these only.
	IDs []string
	// Stage, Origin and RequestID, if they are set, must be equal.
	Stage     string
	Origin    string
	RequestID string
	// Before and After bound Died, if they are set: After <= Died < Before.
	After, Before time.Time
}

// DeadLetterPage is a part of the dead letters that a filter chooses, those that
// died last first.
type DeadLetterPage struct {
	Letters []DeadLetter
	// Next continues the list; empty at its end.
	Next string
}

// DeadLetterStore keeps what was given up until a person acts. Implementations are
// held to storage/storagetest.
type DeadLetterStore interface {
	// DeadLetters returns up to limit of those that filter chooses, without their
	// payloads. cursor is empty, or Next of the page before.
	DeadLetters(ctx context.Context, filter DeadLetterFilter, cursor string, limit int) (DeadLetterPage, error)
	// DeadLetter returns one with its payload. The error has [CodeNotFound] if
	// there is none.
	DeadLetter(ctx context.Context, id string) (DeadLetter, error)
	// Redrive puts those that filter chooses back on their queues, to be tried
	// afresh, and returns how many they were. It works in transactions of bounded
	// size; each letter is either put back or kept.
	Redrive(ctx context.Context, filter DeadLetterFilter) (int, error)
	// Drop deletes those that filter chooses and returns how many they were.
	Drop(ctx context.Context, filter DeadLetterFilter) (int, error)
}
