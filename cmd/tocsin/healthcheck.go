package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func healthCommand(s std) *cobra.Command {
	var server string
	within := 3 * time.Second
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask the running instance whether it is ready",
		Long: `Ask the running instance whether it is ready: started, not stopping, and connected to its bus. Exit status 0 if so, 1 if not or if it does not
answer in time. For health checks where there is neither shell nor curl, as in the container image.`,
		Example: "  tocsin health\n  tocsin health --server http://127.0.0.1:8471 --within 1s",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), within)
			defer cancel()
			return askHealth(ctx, s, server)
		},
	}
	serverFlag(c, &server)
	c.Flags().DurationVar(&within, "within", within, "how long to wait for the answer")
	return c
}

func askHealth(ctx context.Context, s std, server string) error {
	c, err := newClient(server)
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, http.MethodGet, "/readyz", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Fprintln(s.out, readShort(resp.Body))
	return nil
}
