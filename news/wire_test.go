package news_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/news"
)

var update = flag.Bool("update", false, "write the golden files of this package anew")

// full gives a value of T in which no field is zero, so that a field that the wire loses cannot hide.
func full[T any]() T {
	var v T
	fill(reflect.ValueOf(&v).Elem(), "v")
	return v
}

func fill(v reflect.Value, name string) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, len(name)*1000, time.UTC)))
	case v.Type() == reflect.TypeFor[news.Severity]():
		v.SetInt(int64(news.SeverityHigh))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		v.SetBytes([]byte("bytes of " + name))
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), fmt.Sprintf("%s[%d]", name, i))
		}
	case v.Kind() == reflect.Map:
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e, name+"[key]")
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), e)
	case v.Kind() == reflect.String:
		v.SetString(name + " <&> پښتو")
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name)
	case v.CanFloat():
		v.SetFloat(float64(len(name)) + 0.5)
	case v.CanInt():
		v.SetInt(int64(len(name)))
	case v.CanUint():
		v.SetUint(uint64(len(name)))
	default:
		panic("fill: no value for " + v.Type().String())
	}
}

// roundTrip is a test for one wire type: what is written reads the same, and its written form is the golden one.
func roundTrip[T news.Wire](t *testing.T) {
	want := full[T]()
	reflect.ValueOf(&want).Elem().FieldByName("Schema").SetInt(news.Schema)
	b, err := news.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := news.Decode[T](b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the wire changes the value (-sent +read):\n%s", diff)
	}
	golden(t, fmt.Sprintf("%T.v%d.json", want, news.Schema), b, want)
}

// golden compares with a stored message. Streams keep messages for months: a field that is renamed is lost in all of them. So a difference is
// only right together with a new schema version and a reader for the old one, or when a field was added.
func golden[T news.Wire](t *testing.T, name string, b []byte, want T) {
	t.Helper()
	file := filepath.Join("testdata", name)
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, b, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	if *update {
		if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(stored), pretty.String()); diff != "" {
		t.Errorf("%s: the written form changed (-stored +now):\n%s", file, diff)
	}
	read, err := news.Decode[T](stored)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("%s reads differently (-want +read):\n%s", file, diff)
	}
}

func TestWireRoundTrip(t *testing.T) {
	t.Run("Item", roundTrip[news.Item])
	t.Run("Match", roundTrip[news.Match])
	t.Run("Alert", roundTrip[news.Alert])
	t.Run("Delivery", roundTrip[news.Delivery])
	t.Run("LedgerEntry", roundTrip[news.LedgerEntry])
	t.Run("DeadLetter", roundTrip[news.DeadLetter])
}

func TestEncodeStampsTheSchema(t *testing.T) {
	it := news.Item{Schema: 99, ID: "a"}
	b, err := news.Encode(it)
	if err != nil {
		t.Fatal(err)
	}
	got, err := news.Decode[news.Item](b)
	if err != nil || got.Schema != news.Schema {
		t.Errorf("schema %d, error %v", got.Schema, err)
	}
	if it.Schema != 99 {
		t.Error("Encode writes into the caller's value")
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"a newer schema":  {fmt.Sprintf(`{"schema":%d}`, news.Schema+1), "upgrade it"},
		"no schema":       {`{"id":"a"}`, "schema version 0"},
		"a negative one":  {`{"schema":-1}`, "schema version -1"},
		"an old schema":   {fmt.Sprintf(`{"schema":%d}`, news.Schema-2), "schema version"},
		"no JSON":         {`<rss>`, "decode news.Item"},
		"half a value":    {`{"schema":1,"id":"a`, "decode news.Item"},
		"a list":          {`[]`, "decode news.Item"},
		"nothing":         {``, "decode news.Item"},
		"two values":      {`{"schema":1}{"schema":1}`, "decode news.Item"},
		"a wrong type":    {`{"schema":1,"tier":"high"}`, "decode news.Item"},
		"too many bytes":  {`{"schema":1,"body":"` + strings.Repeat("a", news.MaxWire) + `"}`, fmt.Sprintf("the limit is %d", news.MaxWire)},
		"no RFC 3339 day": {`{"schema":1,"first_seen":"yesterday"}`, "decode news.Item"},
	} {
		if _, err := news.Decode[news.Item]([]byte(c.in)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, c.want)
		}
	}
	if _, err := news.Decode[news.Match]([]byte(`{"schema":1,"severity":"urgent"}`)); err == nil {
		t.Error("a severity of no known name is read")
	}
}

func TestDecodeIgnoresUnknownFields(t *testing.T) {
	it, err := news.Decode[news.Item]([]byte(`{"schema":1,"id":"a","of_a_later_program":{"x":[1]}}`))
	if err != nil || it.ID != "a" {
		t.Errorf("got %+v, error %v", it, err)
	}
}

func TestEncodeLimit(t *testing.T) {
	overhead := func(n int) int {
		b, err := news.Encode(news.DeadLetter{Error: strings.Repeat("a", n)})
		if err != nil {
			t.Fatal(err)
		}
		return len(b) - n
	}(1)
	fits := news.MaxWire - overhead
	b, err := news.Encode(news.DeadLetter{Error: strings.Repeat("a", fits)})
	if err != nil || len(b) != news.MaxWire {
		t.Errorf("%d bytes, error %v, want %d bytes", len(b), err, news.MaxWire)
	}
	if _, err := news.Encode(news.DeadLetter{Error: strings.Repeat("a", fits+1)}); err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("one byte more: error %v", err)
	}
}

// TestLargestFits: an item of every field at its limit, in the bytes that JSON writes longest, must pass the wire alone and inside a match and an
// alert, and so must the largest delivery. Otherwise a feed could make a message that nobody can publish.
func TestLargestFits(t *testing.T) {
	worst := func(n int) string { return strings.Repeat("<", n) } // JSON writes each as six bytes, \u003c
	it := news.Item{
		ID: worst(32), Revision: worst(16), Previous: worst(16), Feed: worst(16), GUID: worst(news.MaxURL), URL: worst(news.MaxURL), PublishedClaimed: worst(100),
		Title: worst(news.MaxTitle), Summary: worst(news.MaxSummary), Body: worst(news.MaxBody), FirstSeen: time.Now(),
	}
	for range news.MaxCategories {
		it.Categories = append(it.Categories, worst(100))
		it.Authors = append(it.Authors, worst(100))
	}
	m := news.Match{Item: it, Watchlist: worst(64)}
	for name, err := range map[string]error{
		"item":     encodeErr(it),
		"match":    encodeErr(m),
		"alert":    encodeErr(news.Alert{Match: m}),
		"delivery": encodeErr(news.Delivery{Body: make([]byte, news.MaxDelivery), Subject: worst(news.MaxTitle)}),
	} {
		if err != nil {
			t.Errorf("the largest %s: %v", name, err)
		}
	}
}

func encodeErr[T news.Wire](v T) error {
	_, err := news.Encode(v)
	return err
}

func TestKeys(t *testing.T) {
	for _, c := range []struct{ what, got, want string }{
		{"item", (&news.Item{ID: "i", Revision: "r"}).Key(), "i.r"},
		{"alert", (&news.Alert{ID: "a", Revision: 3}).Key(), "a.3"},
		{"ledger", (&news.LedgerEntry{Delivery: "d", Event: news.EventAttempt, Attempt: 2}).Key(), "d.attempt.2"},
		{"dead letter", (&news.DeadLetter{Stage: "matcher", ID: "i", Sequence: 1 << 63}).Key(), "matcher.i.9223372036854775808"},
	} {
		if c.got != c.want {
			t.Errorf("%s key = %s, want %s", c.what, c.got, c.want)
		}
	}
}

// fuzzDecode: whatever is accepted can be written again within the limits and then reads the same.
func fuzzDecode[T news.Wire](t *testing.T, b []byte) {
	v, err := news.Decode[T](b)
	if err != nil {
		return
	}
	out, err := news.Encode(v)
	if err != nil {
		if strings.Contains(err.Error(), "the limit is") {
			return // invalid bytes grow when they are written as text
		}
		t.Fatalf("%q is read but cannot be written: %v", b, err)
	}
	again, err := news.Decode[T](out)
	if err != nil {
		t.Fatalf("%q is written as %q, which does not read: %v", b, out, err)
	}
	second, err := news.Encode(again)
	if err != nil || !bytes.Equal(out, second) {
		t.Fatalf("%q is written as %q, then as %q (error %v)", b, out, second, err)
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no golden files to start from: ", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzDecode[news.Item](t, b)
		fuzzDecode[news.Match](t, b)
		fuzzDecode[news.Alert](t, b)
		fuzzDecode[news.Delivery](t, b)
		fuzzDecode[news.LedgerEntry](t, b)
		fuzzDecode[news.DeadLetter](t, b)
	})
}
