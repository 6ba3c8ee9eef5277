// Package sample is a small invented world: records, scans and scores that
// `make run` imports and the demo begins with. README.md tells what is in it.
package sample

import "embed"

// Files are the files of the world.
//
//go:embed *.csv *.json *.jsonl *.xml *.yaml
var Files embed.FS
