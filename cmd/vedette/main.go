// Command vedette is the hub: `vedette --help` lists what it does.
package main

import (
	"os"

	"github.com/vedette-hub/vedette/app"
)

func main() {
	os.Exit(app.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
