package queue

import (
	"context"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill"
)

// logger passes the library's log on. It drops the trace level, which holds the
// arguments of statements and so the payloads, and takes the library's infos
// ("discarding queued message") for the details that they are.
type logger struct {
	slog *slog.Logger
}

var _ watermill.LoggerAdapter = logger{}

func (l logger) Error(msg string, err error, fields watermill.LogFields) {
	l.log(slog.LevelError, msg, fields.Add(watermill.LogFields{"error": err}))
}

func (l logger) Info(msg string, fields watermill.LogFields) { l.log(slog.LevelDebug, msg, fields) }

func (l logger) Debug(msg string, fields watermill.LogFields) { l.log(slog.LevelDebug, msg, fields) }
func (l logger) Trace(string, watermill.LogFields)            {}

func (l logger) With(fields watermill.LogFields) watermill.LoggerAdapter {
	if !l.slog.Enabled(context.Background(), slog.LevelError) {
		return l
	}
	attrs := make([]any, 0, 2*len(fields))
	for key, value := range fields {
		attrs = append(attrs, key, value)
	}
	return logger{slog: l.slog.With(attrs...)}
}

func (l logger) log(level slog.Level, msg string, fields watermill.LogFields) {
	ctx := context.Background()
	if !l.slog.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, len(fields))
	for key, value := range fields {
		attrs = append(attrs, slog.Any(key, value))
	}
	l.slog.LogAttrs(ctx, level, msg, attrs...) //nolint:sloglint // the library's message
}
