package lab

import "embed"

// Content are the lab's fingerprints in the form of Recog: they recognise the
// invented software of the built-in internet, as an operator's own pack does his.
//
//go:embed content/*.xml
var Content embed.FS
