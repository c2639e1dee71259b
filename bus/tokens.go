package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

const maxToken = 64

// token makes one subject token of s: [a-z0-9_-] only, 1 to 64 bytes. What fits is kept as it is. What does not fit is cut down to what does
// and gets a hash of s, so that two different values keep two different subjects. The empty text becomes "none".
func token(s string) string {
	if validToken(s) {
		return s
	}
	if s == "" {
		return "none"
	}
	var b strings.Builder
	for _, r := range s {
		if b.Len() == 40 {
			break
		}
		switch {
		case isTokenByte(r):
			b.WriteRune(r)
		case r >= 'A' && r <= 'Z':
			b.WriteRune(r - 'A' + 'a')
		default:
			b.WriteByte('_')
		}
	}
	sum := sha256.Sum256([]byte(s))
	return b.String() + "-" + hex.EncodeToString(sum[:6])
}

func validToken(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	for _, r := range s {
		if !isTokenByte(r) {
			return false
		}
	}
	return true
}

func isTokenByte(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}

// escapeKey makes a bucket key of any text: letters, digits, "_", "-", "/" and dots between other characters stay, every other byte becomes
// "=XX". unescapeKey undoes it. The bucket's own characters would not do: names of files hold blanks and letters of all scripts.
func escapeKey(key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		dot := c == '.' && i > 0 && i < len(key)-1 && key[i-1] != '.'
		if dot || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '/' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "=%02X", c)
	}
	return b.String()
}

func unescapeKey(key string) string {
	if !strings.Contains(key, "=") {
		return key
	}
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		if key[i] == '=' && i+2 < len(key) {
			if n, err := strconv.ParseUint(key[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(key[i])
	}
	return b.String()
}
