package signalbox

import "log/slog"

// Secret is text that shows itself to nobody by accident: printing, logging and
// encoding it give "[redacted]", and the empty secret gives "".
type Secret struct{ value string }

// NewSecret makes a secret of a text.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the text. Its result must go to nobody but whom it is for.
func (s Secret) Reveal() string { return s.value }

// String hides the text.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return "[redacted]"
}

// GoString hides the text from %#v.
func (s Secret) GoString() string { return `signalbox.Secret("` + s.String() + `")` }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the text from encoders: JSON, YAML, flags.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
