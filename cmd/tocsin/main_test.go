package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tocsin/bus/bustest"
)

// TestMain lets this test binary act as the commands tocsin and nats-server, for scripts and for tests that kill it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tocsin": main, "nats-server": bustest.ServerMain})
}

// TestScripts runs the command line as a person would: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, Cmds: scriptCommands()})
}
