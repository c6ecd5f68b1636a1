package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
)

// versionInfo is the JSON form of version.
type versionInfo struct {
	Version  string `json:"version"`
	ABI      string `json:"abi"`
	Genesis  string `json:"genesis"`
	Engine   string `json:"engine"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCmd() *cobra.Command {
	cmd := a.command("version [--json]", "Show the versions of host, contract and engine", "", `  pxos-host version
  pxos-host version --json`)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(*cobra.Command, []string) error {
		v := versionInfo{
			Version: host.Version, ABI: abi.Version(), Genesis: abi.GenesisVersion, Engine: "wazero",
			Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		}
		if info, ok := debug.ReadBuildInfo(); ok {
			for _, d := range info.Deps {
				if d.Path == "github.com/tetratelabs/wazero" {
					v.Engine += " " + d.Version
				}
			}
		}
		if *asJSON {
			return a.printJSON(v)
		}
		_, err := fmt.Fprintf(a.out, "pxos-host %s\nabi %s, genesis %s, %s, %s, %s\n", v.Version, v.ABI, v.Genesis, v.Engine, v.Go, v.Platform)
		return err
	}
	return cmd
}
