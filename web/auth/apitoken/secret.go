package apitoken

import (
	"crypto/rand"
	"hash/crc32"
	"strings"
)

// The form of a secret: the prefix, 27 random characters with 160.7 bits, and six
// characters with the CRC-32 of what is before them. Scanners that look for leaked
// secrets find it by
//
//	\bsbx_[0-9A-Za-z]{33}\b
//
// and tell by the checksum that it is one.
const (
	prefix       = "sbx_"
	randomLength = 27
	checkLength  = 6
	length       = len(prefix) + randomLength + checkLength
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewSecret makes the secret of a new token.
func NewSecret() string {
	text := make([]byte, 0, length)
	text = append(text, prefix...)
	var random [64]byte
	for len(text) < len(prefix)+randomLength {
		_, _ = rand.Read(random[:]) // it cannot fail
		for _, b := range random {
			// 248 is the largest multiple of 62 in a byte: so no character is likelier
			// than another.
			if b < 248 && len(text) < len(prefix)+randomLength {
				text = append(text, base62[b%62])
			}
		}
	}
	return string(append(text, checksum(string(text))...))
}

// checksum is the CRC-32 (IEEE) of a text, in base 62.
func checksum(text string) string {
	sum := crc32.ChecksumIEEE([]byte(text))
	var digits [checkLength]byte
	for i := range digits {
		digits[checkLength-1-i] = base62[sum%62]
		sum /= 62
	}
	return string(digits[:])
}

// isMine reports whether a credential means to be an API token.
func isMine(token string) bool { return strings.HasPrefix(token, prefix) }

// wellFormed reports whether a credential can be an API token. The checksum keeps
// typing errors and cut copies from the storage; it is no protection.
func wellFormed(token string) bool {
	if len(token) != length || !isMine(token) {
		return false
	}
	for i := len(prefix); i < length; i++ {
		if strings.IndexByte(base62, token[i]) < 0 {
			return false
		}
	}
	const end = length - checkLength
	return checksum(token[:end]) == token[end:]
}
