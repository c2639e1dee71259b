package news

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
)

// MaxWire is the largest encoded value in bytes: the server's max_payload of 1 MB less room for headers.
const MaxWire = 1<<20 - 64<<10

// Wire is any value that travels on the bus.
type Wire interface {
	Item | Match | Alert | Delivery | LedgerEntry | DeadLetter
}

// Encode writes v as JSON with the current schema version. A value over MaxWire bytes is refused.
func Encode[T Wire](v T) ([]byte, error) {
	setSchema(&v)
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	if len(b) > MaxWire {
		return nil, fmt.Errorf("encode %T: %d bytes, the limit is %d", v, len(b), MaxWire)
	}
	return b, nil
}

// Decode reads a value written by Encode of this schema version or the one before. Unknown fields are ignored, so that an older
// program reads what a newer one wrote within one version.
func Decode[T Wire](b []byte) (T, error) {
	var v T
	if len(b) > MaxWire {
		return v, fmt.Errorf("decode %T: %d bytes, the limit is %d", v, len(b), MaxWire)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("decode %T: %w", v, err)
	}
	if s := schemaOf(&v); s < Schema-1 || s > Schema || s == 0 {
		return v, fmt.Errorf("decode %T: schema version %d, this program reads %d and %d: upgrade it", v, s, Schema-1, Schema)
	}
	return v, nil
}

func setSchema(v any) { *schemaField(v) = Schema }

func schemaOf(v any) int { return *schemaField(v) }

func schemaField(v any) *int {
	switch x := v.(type) {
	case *Item:
		return &x.Schema
	case *Match:
		return &x.Schema
	case *Alert:
		return &x.Schema
	case *Delivery:
		return &x.Schema
	case *LedgerEntry:
		return &x.Schema
	case *DeadLetter:
		return &x.Schema
	}
	panic(fmt.Sprintf("news: %T is not a wire type", v))
}

func itoa(n int) string { return strconv.Itoa(n) }

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }

func mergeSpans(all []Span) []Span {
	sort.Slice(all, func(i, j int) bool {
		if all[i].Start != all[j].Start {
			return all[i].Start < all[j].Start
		}
		return all[i].End > all[j].End
	})
	var out []Span
	for _, s := range all {
		if n := len(out); n > 0 && s.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, s.End)
			continue
		}
		out = append(out, s)
	}
	return out
}
