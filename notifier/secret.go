package notifier

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"tocsin/news/strict"
)

// SecretRef names where a secret stands: "env:NAME" or "file:PATH". The secret itself never stands in a configuration file.
type SecretRef struct {
	strict.Pos
	Kind, Name string // Kind is "env" or "file"; "" when nothing is stated
}

// UnmarshalStrict reads the reference; a secret in plain text is a fault, and the fault does not repeat it.
func (r *SecretRef) UnmarshalStrict(c *strict.Cursor) {
	r.Pos = c.Pos()
	kind, name, ok := strings.Cut(c.Scalar(), ":")
	if !c.IsScalar() || !ok || name == "" || (kind != "env" && kind != "file") {
		c.Fault("write env:NAME or file:/path/to/secret, and put the secret there", "a reference to a secret is expected here")
		return
	}
	r.Kind, r.Name = kind, name
}

// FileRef is a reference to a secret in a file, "" gives none.
func FileRef(t strict.Text) SecretRef {
	if t.Value == "" {
		return SecretRef{}
	}
	return SecretRef{Pos: t.Pos, Kind: "file", Name: t.Value}
}

// EitherRef is the reference of two keys, NAME_file and NAME, of which Check allows one.
func EitherRef(file strict.Text, ref SecretRef) SecretRef {
	if file.Value != "" {
		return FileRef(file)
	}
	return ref
}

// CheckEither adds a fault when both keys stand there, or none and the secret is needed. name is that of the key without _file.
func CheckEither(fs *strict.Faults, at strict.Pos, file strict.Text, ref SecretRef, name, need string) {
	switch {
	case file.Value != "" && !ref.IsZero():
		fs.Add(file.Pos, "keep one of them", "both %s and %s_file stand here", name, name)
	case file.Value == "" && ref.IsZero() && need != "":
		fs.Add(at, need, "there is no %s_file", name)
	}
}

// IsZero tells that nothing is stated.
func (r SecretRef) IsZero() bool { return r.Kind == "" }

// maxSecret is the largest secret in bytes; a larger file is a mistake.
const maxSecret = 64 << 10

// Read gives the secret without white space at its ends. Errors name the place, never the content.
func (r SecretRef) Read() (Secret, error) {
	var s string
	switch r.Kind {
	case "env":
		s = os.Getenv(r.Name)
	case "file":
		b, err := os.ReadFile(r.Name)
		if err != nil {
			return Secret{}, fmt.Errorf("%s: read secret: %w", r.Pos, err)
		}
		if len(b) > maxSecret {
			return Secret{}, fmt.Errorf("%s: secret file %s: %d bytes, the limit is %d", r.Pos, r.Name, len(b), maxSecret)
		}
		s = string(b)
	}
	s = strings.TrimSpace(s)
	if s == "" {
		return Secret{}, fmt.Errorf("%s: the secret in %s %s is empty: put it there", r.Pos, r.Kind, r.Name)
	}
	return Secret{s}, nil
}

// Secret holds a secret and prints as "[redacted]" in every form of output.
type Secret struct{ value string }

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{s} }

// Reveal gives the secret itself.
func (s Secret) Reveal() string { return s.value }

// String hides the secret.
func (s Secret) String() string { return "[redacted]" }

// GoString hides the secret.
func (s Secret) GoString() string { return "[redacted]" }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// forms are the ways in which an endpoint may send a secret back.
func forms(x string) []string {
	return []string{
		x, url.QueryEscape(x), url.PathEscape(x), base64.StdEncoding.EncodeToString([]byte(x)),
		base64.RawURLEncoding.EncodeToString([]byte(x)), strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(x)), "="),
	}
}
