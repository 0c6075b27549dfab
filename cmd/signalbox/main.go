// Command signalbox is the notification router. Run "signalbox help".
package main

import (
	"os"

	"github.com/signalbox/signalbox/cmd"
)

func main() { os.Exit(cmd.Main()) }
