package bustest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"tocsin/bus"
)

// KeyedServer is a server with the accounts and rights that Tocsin asks for, and the seeds of all users.
type KeyedServer struct {
	*server.Server
	keys string
}

// Keyed runs a server with the configuration that `tocsin nats permissions` writes, and fresh keys. Nothing is set up on it. edit may change that
// configuration; nil leaves it.
func Keyed(tb testing.TB, edit func(conf string) string, change ...func(*server.Options)) *KeyedServer {
	tb.Helper()
	dir := tb.TempDir()
	if _, err := bus.MakeKeys(dir); err != nil {
		tb.Fatal(err)
	}
	conf := bus.Permissions()
	if edit != nil {
		conf = edit(conf)
	}
	file := filepath.Join(dir, "accounts.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		tb.Fatal(err)
	}
	accounts, err := server.ProcessConfigFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	s := Server(tb, append([]func(*server.Options){func(o *server.Options) {
		o.Accounts, o.SystemAccount, o.Nkeys = accounts.Accounts, accounts.SystemAccount, accounts.Nkeys
	}}, change...)...)
	return &KeyedServer{s, dir}
}

// Seed is the file with the seed of a user.
func (k *KeyedServer) Seed(user string) string { return filepath.Join(k.keys, user+".nk") }

// As changes options so that a bus connects as a user, in the user's role.
func (k *KeyedServer) As(user string) func(*bus.Options) {
	return func(o *bus.Options) {
		o.URL, o.NKeyFile, o.SystemNKey = k.ClientURL(), k.Seed(user), k.Seed(bus.UserSystem)
		if user != bus.UserAdmin && user != bus.UserAll {
			o.Role = user
		}
	}
}
