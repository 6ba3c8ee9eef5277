//go:build !linux

package main

import "fmt"

func main() { fmt.Println("daemons: left out: they are begun on Debian only") }
