package bus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"
)

// Users that a server knows beside those of the roles.
const (
	UserAll    = "all"    // a process with several roles
	UserAdmin  = "admin"  // makes and changes streams, consumers and buckets
	UserSystem = "system" // of the system account: asks each server whether it syncs
)

// KeysFile is the file with the public keys that Permissions includes.
const KeysFile = "keys.conf"

// user is one user of the server.
type user struct{ name, about, role string }

// users gives them in the order of the file. Those without a role have no limits in their account.
func users() []user {
	return []user{
		{"fetcher", "polls feeds and stores items", "fetcher"},
		{"matcher", "turns items into matches, and shares the watchlists", "matcher"},
		{"notifier", "turns matches into alerts, and sends them", "notifier"},
		{UserAll, "one process with several of these roles", ""},
		{RoleStatus, "looks at streams and consumers, and changes nothing", RoleStatus},
	}
}

// UserNames are the users of whom Permissions speaks.
func UserNames() []string {
	names := []string{}
	for _, u := range users() {
		names = append(names, u.name)
	}
	return append(names, UserAdmin, UserSystem)
}

// Permissions is the part of a nats-server configuration that holds the accounts, with one user for each role and just the rights that it needs.
// The public keys stand in KeysFile beside it.
func Permissions() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Accounts of a NATS cluster for Tocsin: one user for each role, with the rights that it needs and no others.
# Written by "tocsin nats permissions"; do not edit. "tocsin nats keys" writes %s and the seeds.

include %q

system_account: SYS

accounts {
  SYS: {
    users: [
      # asks each server whether it syncs every write (bus.system_nkey_file)
      {nkey: $tocsin_%s}
    ]
  }
  TOCSIN: {
    jetstream: enabled
    users: [
      # %s: makes and changes streams, consumers and buckets ("tocsin nats setup", "tocsin backup"); no running process needs it
      {nkey: $tocsin_%s}
`, KeysFile, KeysFile, UserSystem, UserAdmin, UserAdmin)
	for _, u := range users() {
		writeUser(&b, u)
	}
	b.WriteString("    ]\n  }\n}\n")
	return b.String()
}

func writeUser(b *strings.Builder, u user) {
	g := grantOf(u.role)
	fmt.Fprintf(b, "      # %s: %s\n      {\n        nkey: $tocsin_%s\n        permissions: {\n          publish: {\n", u.name, u.about, u.name)
	writeSubjects(b, "allow", g.allow)
	writeSubjects(b, "deny", g.deny)
	fmt.Fprintf(b, "          }\n          subscribe: {allow: [%q]}\n        }\n      }\n", inboxOf(u.role)+".>")
}

func writeSubjects(b *strings.Builder, what string, subjects []string) {
	if len(subjects) == 0 {
		return
	}
	fmt.Fprintf(b, "            %s: [\n", what)
	for _, s := range subjects {
		fmt.Fprintf(b, "              %q\n", s)
	}
	b.WriteString("            ]\n")
}

// MakeKeys makes an nkey for each user of Permissions: the seed in dir/<user>.nk, which only its owner may read, and the public keys in
// dir/keys.conf. Seeds that are there are kept, so that it may be run again; made names the new ones.
func MakeKeys(dir string) (made []string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the keys: %w", err)
	}
	var conf strings.Builder
	conf.WriteString("# Public keys of the users of accounts.conf, made by \"tocsin nats keys\".\n\n")
	for _, name := range UserNames() {
		path := filepath.Join(dir, name+".nk")
		public, err := publicKey(path)
		if errors.Is(err, fs.ErrNotExist) {
			public, err = newKey(path)
			made = append(made, path)
		}
		if err != nil {
			return made, err
		}
		fmt.Fprintf(&conf, "tocsin_%s: %s\n", name, public)
	}
	path := filepath.Join(dir, KeysFile)
	if err := os.WriteFile(path, []byte(conf.String()), 0o644); err != nil {
		return made, fmt.Errorf("write the public keys: %w", err)
	}
	return append(made, path), nil
}

func publicKey(path string) (string, error) {
	seed, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(string(seed))))
	if err == nil {
		var public string
		if public, err = pair.PublicKey(); err == nil && nkeys.IsValidPublicUserKey(public) {
			return public, nil
		}
	}
	return "", fault(path, "it holds no seed of a user key", "move it away, and a new one is made", err)
}

func newKey(path string) (string, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("write the seed: %w", err)
	}
	if _, err := f.Write(append(seed, '\n')); err != nil {
		return "", errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return "", fmt.Errorf("write the seed: %w", err)
	}
	return pair.PublicKey()
}
