package apitoken

import (
	"regexp"
	"strings"
	"testing"
)

func TestNewSecret(t *testing.T) {
	form := regexp.MustCompile(`^sbx_[0-9A-Za-z]{33}$`)
	seen, used := map[string]bool{}, map[rune]int{}
	for range 2000 {
		secret := NewSecret()
		if !form.MatchString(secret) || !wellFormed(secret) || seen[secret] {
			t.Fatalf("%q", secret)
		}
		seen[secret] = true
		for _, char := range secret[len(prefix) : len(prefix)+randomLength] {
			used[char]++
		}
	}
	// 2,000 secrets have each character 871 times, give or take 30.
	for _, char := range base62 {
		if n := used[char]; n < 700 || n > 1050 {
			t.Errorf("%q occurs %d times", char, n)
		}
	}
}

// What scanners compute must not change.
func TestChecksum(t *testing.T) {
	const random = prefix + "0123456789ABCDEFGHIJKLMNOPQ"
	if got := checksum(random); !wellFormed(random+got) || got != "2YpRBg" {
		t.Errorf("checksum %s", got)
	}
	for i := range len(random) {
		changed := random[:i] + "-" + random[i+1:]
		if wellFormed(changed + checksum(changed)) {
			t.Errorf("%q is well formed", changed)
		}
	}
}

func FuzzWellFormed(f *testing.F) {
	f.Add(NewSecret(), 5, byte('x'))
	f.Add("sbx_", 0, byte(0))
	f.Add(prefix+strings.Repeat("é", 16)+"0", 3, byte(0xff))
	f.Fuzz(func(t *testing.T, token string, at int, b byte) {
		if !wellFormed(token) {
			return
		}
		if len(token) != length || !strings.HasPrefix(token, prefix) {
			t.Fatalf("%q is well formed", token)
		}
		// No single character can be changed without being noticed.
		if at %= length; at < 0 || token[at] == b {
			return
		}
		if changed := token[:at] + string([]byte{b}) + token[at+1:]; wellFormed(changed) {
			t.Fatalf("%q and %q are well formed", token, changed)
		}
	})
}
