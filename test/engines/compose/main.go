// Loads a Compose file as the specification's own loader does, strictly, and prints the project as JSON: defaults are
// filled in, variables replaced, extensions and merges resolved. What the loader refuses ends it with 1.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "compose <docker-compose.yml> [profile...]")
		os.Exit(2)
	}
	options, err := cli.NewProjectOptions(
		[]string{os.Args[1]}, cli.WithOsEnv, cli.WithProfiles(os.Args[2:]), cli.WithResolvedPaths(true),
		cli.WithInterpolation(true), cli.WithNormalization(true), cli.WithConsistency(true),
	)
	if err == nil {
		var text []byte
		project, loadErr := options.LoadProject(context.Background())
		if err = loadErr; err == nil {
			if text, err = project.MarshalJSON(); err == nil {
				_, err = os.Stdout.Write(text)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
