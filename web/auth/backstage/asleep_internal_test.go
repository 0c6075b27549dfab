package backstage

import "testing"

// A key must age by the clock by which what is published of it expires: it would be used
// for too long after a machine has slept, if it aged by the one that stands still then.
func TestKeysAgeByTheWallClock(t *testing.T) {
	issuer, err := NewIssuer(IssuerConfig{Store: &keys{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Token(t.Context(), "notifications", "catalog"); err != nil {
		t.Fatal(err)
	}
	if made := issuer.key.made; made.String() != made.Round(0).String() {
		t.Errorf("made at %s, by the other clock", made)
	}
}
