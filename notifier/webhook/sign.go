package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// signer makes one signature of Standard Webhooks 1.0 over "id.timestamp.body".
type signer func(content []byte) string

// newSigner reads a key: whsec_ for HMAC-SHA256 (24 to 64 bytes), whsk_ for Ed25519 (seed of 32 bytes, or seed and public key of 64 bytes).
// Errors never repeat the key.
func newSigner(secret string) (signer, error) {
	kind, text, ok := strings.Cut(secret, "_")
	if !ok {
		return nil, fmt.Errorf("the key begins with neither whsec_ nor whsk_")
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the key is not base64 after its prefix")
	}
	switch kind {
	case "whsec":
		if len(key) < 24 || len(key) > 64 {
			return nil, fmt.Errorf("the key has %d bytes, Standard Webhooks asks for 24 to 64", len(key))
		}
		return func(content []byte) string {
			h := hmac.New(sha256.New, key)
			h.Write(content)
			return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
		}, nil
	case "whsk":
		if len(key) != ed25519.SeedSize && len(key) != ed25519.PrivateKeySize {
			return nil, fmt.Errorf("the Ed25519 key has %d bytes, 32 or 64 are expected", len(key))
		}
		private := ed25519.NewKeyFromSeed(key[:ed25519.SeedSize])
		return func(content []byte) string {
			return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(private, content))
		}, nil
	}
	return nil, fmt.Errorf("the key begins with neither whsec_ nor whsk_")
}

// signatures is the value of webhook-signature: one signature for each key, so that a receiver may change keys without a gap.
func signatures(keys []signer, id string, at time.Time, body []byte) string {
	content := append([]byte(id+"."+strconv.FormatInt(at.Unix(), 10)+"."), body...)
	out := make([]string, len(keys))
	for i, sign := range keys {
		out[i] = sign(content)
	}
	return strings.Join(out, " ")
}
