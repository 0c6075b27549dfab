package pipeline

import (
	"errors"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// attempted reports whether what failed was an attempt of e: what only has to leave
// its batch has made none.
func attempted(e *entry, cause error) bool {
	return e.Alone || !errors.Is(cause, signalbox.ErrPatience)
}

// setAside says what becomes of a request that failed: a message for another
// attempt, or a dead letter. The entry carries its Revision.
func (p *Pipeline) setAside(e entry, stage string, cause error) (*signalbox.Message, *signalbox.DeadLetter, error) {
	var (
		delay time.Duration
		again = true
	)
	if attempted(&e, cause) {
		delay, again = p.config.Retry.Decide(cause, &e.Tries)
	}
	e.Alone = true
	if again {
		payload, err := encodeSingle(e)
		if err != nil {
			return nil, nil, err
		}
		p.metrics.retried.WithLabelValues(stage).Inc()
		return &signalbox.Message{Topic: TopicRetry, ID: e.Request.ID, Payload: payload, Delay: delay}, nil, nil
	}
	dead, err := p.deadLetter(e, stage, cause)
	return nil, dead, err
}

// deadLetter gives a request up. Its payload starts afresh when a person puts it
// back on its topic.
func (p *Pipeline) deadLetter(e entry, stage string, cause error) (*signalbox.DeadLetter, error) {
	attempts := e.Attempt
	e.Tries, e.Redriven = retry.Tries{}, true
	payload, err := encodeSingle(e)
	if err != nil {
		return nil, err
	}
	p.metrics.deadLetters.WithLabelValues(stage).Inc()
	return &signalbox.DeadLetter{
		ID: e.key() + "/" + stage, Topic: TopicRetry, Payload: payload,
		Stage: stage, Error: retry.ErrorText(cause), Attempts: attempts,
		RequestID: e.Request.ID, Origin: e.Request.Origin,
		Created: e.Request.Created, Died: p.now(),
	}, nil
}
