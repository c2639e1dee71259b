package email

import (
	"strings"
	"testing"

	"tocsin/news/strict"
)

func TestCheckFindsFaults(t *testing.T) {
	base := map[string]string{"server": "mail.example.org", "from": "a@example.org", "to": "[b@example.net]"}
	for name, c := range map[string]struct {
		set  map[string]string
		want string // "" = no fault
		warn string
	}{
		"least":              {nil, "", ""},
		"no server":          {map[string]string{"server": ""}, "no server", ""},
		"odd server":         {map[string]string{"server": "mail example"}, "is not a host", ""},
		"no from":            {map[string]string{"from": ""}, "no from", ""},
		"no to":              {map[string]string{"to": "[]"}, "no recipient", ""},
		"bad address":        {map[string]string{"to": "[nobody]"}, `"nobody" is not a mail address`, ""},
		"line break":         {map[string]string{"to": `["a@b.c\r\nBcc: d@e.f"]`}, "is not a mail address", ""},
		"twice":              {map[string]string{"to": "[b@example.net, B <b@example.net>]"}, "stands twice", ""},
		"not ASCII":          {map[string]string{"to": "[\"ü@example.net\"]"}, "beyond ASCII", ""},
		"injected command":   {map[string]string{"to": `["\"a b\"@exa>mple"]`}, "is not a mail address", ""},
		"tls":                {map[string]string{"tls": "ssl"}, `tls "ssl" is not known`, ""},
		"plain":              {map[string]string{"tls": "none"}, "without TLS anybody", ""},
		"plain, allowed":     {map[string]string{"tls": "none", "allow_plaintext": "true"}, "", ""},
		"plain to loopback":  {map[string]string{"tls": "none", "server": "127.0.0.1:25"}, "", ""},
		"465":                {map[string]string{"server": "mail.example.org:465"}, "", "write tls: tls"},
		"user alone":         {map[string]string{"username": "u"}, "without a password", ""},
		"password alone":     {map[string]string{"password_file": "/x"}, "without a username", ""},
		"password in clear":  {map[string]string{"username": "u", "password": "CANARY"}, "a reference to a secret is expected", ""},
		"two passwords":      {map[string]string{"username": "u", "password": "env:A", "password_file": "/x"}, "both password and password_file", ""},
		"location":           {map[string]string{"location": "Asia/Nowhere"}, "is not known", ""},
		"dkim without key":   {map[string]string{"dkim": "{selector: s}"}, "no key_file", ""},
		"dkim selector":      {map[string]string{"dkim": "{key_file: /x}"}, "no usable selector", ""},
		"dkim other domain":  {map[string]string{"dkim": "{selector: s, key_file: /x, domain: other.org}"}, "", "DMARC"},
		"concurrency":        {map[string]string{"concurrency": "99"}, "out of range", ""},
		"unknown key":        {map[string]string{"sever": "x"}, `did you mean "server"?`, ""},
		"domain with spaces": {map[string]string{"domain": "a b"}, "is not a domain", ""},
	} {
		t.Run(name, func(t *testing.T) {
			all := map[string]string{}
			for _, m := range []map[string]string{base, c.set} {
				for k, v := range m {
					all[k] = v
				}
			}
			var b strings.Builder
			for k, v := range all {
				if v != "" {
					b.WriteString(k + ": " + v + "\n")
				}
			}
			var conf Config
			fs := strict.Decode("tocsin.yaml", []byte(b.String()), 1<<20, &conf)
			errs, warns := append(fs, conf.Check()...).Split()
			if (c.want == "") != (len(errs) == 0) || !strings.Contains(errs.Error(), c.want) {
				t.Errorf("faults %q, want %q", errs, c.want)
			}
			if (c.warn == "") != (len(warns) == 0) || !strings.Contains(warns.Error(), c.warn) {
				t.Errorf("warnings %q, want %q", warns, c.warn)
			}
			if strings.Contains(errs.Error(), "CANARY") {
				t.Errorf("a fault shows the secret: %s", errs)
			}
		})
	}
}
