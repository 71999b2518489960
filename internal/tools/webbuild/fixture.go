package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// serveFixture serves the page that shows the app's screens without a server (web/app/dev), built anew for each request. It
// writes nothing.
func serveFixture(root, address string) error {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("-fixture %s: %w", address, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return fmt.Errorf("-fixture %s: %w", address, err)
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return err
	}
	app := filepath.Join(root, appPath)
	page := filepath.Join(app, "dev")
	ctx, ctxErr := api.Context(api.BuildOptions{
		EntryPoints:   []string{filepath.Join(page, "fixture.tsx"), filepath.Join(app, "src/styles/main.css")},
		AbsWorkingDir: app, Outdir: page, EntryNames: "[name]",
		Bundle: true, Format: api.FormatESModule, Platform: api.PlatformBrowser, Target: api.ES2022, Sourcemap: api.SourceMapInline,
		LogLevel: api.LogLevelInfo,
	})
	if ctxErr != nil {
		texts := api.FormatMessages(ctxErr.Errors, api.FormatMessagesOptions{})
		return errors.New("esbuild: " + strings.Join(texts, ""))
	}
	defer ctx.Dispose()
	if _, err := ctx.Serve(api.ServeOptions{Host: host, Port: port, Servedir: page}); err != nil {
		return fmt.Errorf("-fixture: %w", err)
	}
	fmt.Printf("http://%s/\n", address)
	select {}
}
